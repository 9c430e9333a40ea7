"""Real processes of one run, on this machine's CPU, each with some simulated devices."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

ROOT = Path(__file__).parents[2]

RECIPE = """
from pathlib import Path
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import bert, gpt2
from jaxlm.objectives import CausalLM, MaskedLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig

SIZES = {"num_layers": 2, "embed_dim": 32, "num_heads": 4, "context": 32, "dropout": 0.1}

def config(*, text: Path, masked: bool = False) -> RunConfig:
    return RunConfig(
        model=bert(**SIZES) if masked else gpt2(**SIZES),
        objective=MaskedLM() if masked else CausalLM(),
        optimizer=AdamW(learning_rate=1e-3),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(text),), seq_len=32),
        train=TrainConfig(steps=30, batch_size=16),
        mesh=MeshConfig(meeting_seconds=60, patience_seconds=60),
        checkpoint=CheckpointConfig(every=10),
        log=LogConfig(every=1, tensorboard=False),
    )
"""


class Place:
    """A folder with a recipe, its text and a token store; starts processes there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[subprocess.Popen] = []

    def environment(self, devices: int, **more: str) -> dict[str, str]:
        flags = f"--xla_force_host_platform_device_count={devices}"
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        own = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""}  # as on a user's machine
        return {**os.environ, **own, **more}

    def together(self, count: int, port: int | None = None, of: int | None = None) -> list[dict[str, str]]:
        """The environment variables of `count` processes, of `of` that there should be."""
        address = f"127.0.0.1:{port or free_port()}"
        return [
            {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(of or count), "JAX_PROCESS_ID": str(index)}
            for index in range(count)
        ]

    def start(self, words: Sequence[str], devices: int, **more: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(devices, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def train(self, run: str, count: int, devices: int, *more: str, each: Sequence[Sequence[str]] = ()) -> list[subprocess.Popen]:
        """`jaxlm train` in `count` processes; `each`: what one of them alone is told."""
        words = ["-m", "jaxlm", "train", "tiny.py", "--text", "text.txt", "--run-dir", run, *more]
        places = self.together(count) if count > 1 else [{}]
        own = each or [()] * count
        return [self.start([*words, *own[index]], devices, **place) for index, place in enumerate(places)]

    def losses(self, run: str) -> list[float]:
        lines = (self.folder / run / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["train/loss"] for line in lines]

    def summary(self, run: str) -> dict:
        return json.loads((self.folder / run / "summary.json").read_text())

    def reach(self, run: str, step: int, processes: Sequence[subprocess.Popen]) -> None:
        """Waits for the line of a step."""
        lines = self.folder / run / "metrics.jsonl"
        while not (lines.exists() and f'"step": {step},' in lines.read_text()):
            assert all(process.poll() is None for process in processes), ends(processes)
            time.sleep(0.05)


def ends(processes: Sequence[subprocess.Popen]) -> list[tuple[int, str]]:
    """(exit code, what was printed) of each."""
    return [(process.wait(timeout=200), said) for process, said in ((p, p.communicate(timeout=200)[0]) for p in processes)]


def free_port() -> int:
    """Of two in a row, for JAX's own coordinator takes the next; below those that the system hands out, to other tests too."""
    while True:
        port = SystemRandom().randrange(10_000, 30_000, 2)
        try:
            with socket.create_server(("", port)), socket.create_server(("", port + 1)):
                return port
        except OSError:
            continue
