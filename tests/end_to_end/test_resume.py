"""The real command, killed and run again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

RECIPE = """
from pathlib import Path
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig

def config(*, text: Path) -> RunConfig:
    return RunConfig(
        model=gpt2(num_layers=2, embed_dim=32, num_heads=2, context=32, dropout=0.1),
        objective=CausalLM(),
        optimizer=AdamW(learning_rate=1e-3),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(text),), seq_len=32),
        train=TrainConfig(steps=60, batch_size=4),
        checkpoint=CheckpointConfig(every=7),
        log=LogConfig(every=1, tensorboard=False),
    )
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    rng = np.random.default_rng(0)
    words = ["the", "list", "of", "all", "values", "returns", "a", "new", "one", "when", "it", "is"]
    (folder / "text.txt").write_text("\n".join(" ".join(rng.choice(words, 12)) for _ in range(400)))
    (folder / "tiny.py").write_text(RECIPE)
    return folder


def command(place: Path, run: str, *more: str) -> list[str]:
    words = ["train", "tiny.py", "--text", "text.txt", "--run-dir", run]
    return [sys.executable, "-m", "jaxlm.cli.main", *words, *more]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


def train(place: Path, run: str, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(place, run, *more), cwd=place, env=environment(), capture_output=True, text=True, check=False)


def kill_at(place: Path, run: str, step: int, number: signal.Signals) -> int:
    """Starts the command, sends a signal once this step's line is written, returns the exit code."""
    with subprocess.Popen(
        command(place, run), cwd=place, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        lines = place / run / "metrics.jsonl"
        while process.poll() is None and not (lines.exists() and f'"step": {step},' in lines.read_text()):
            time.sleep(0.02)
        process.send_signal(number)
        return process.wait()


def lines(place: Path, run: str) -> list[dict]:
    return [json.loads(line) for line in (place / run / "metrics.jsonl").read_text().splitlines()]


def summary(place: Path, run: str) -> dict:
    return json.loads((place / run / "summary.json").read_text())


def params(place: Path, run: str) -> list[np.ndarray]:
    import jaxlm

    return [np.asarray(leaf) for leaf in jax.tree.leaves(jaxlm.load(place / run).params)]


@pytest.fixture(scope="module")
def whole(place) -> str:
    done = train(place, "whole")
    assert done.returncode == 0, done.stderr
    return "whole"


def test_killed_runs_end_bit_identical_and_lose_only_what_was_not_saved(place, whole):
    for step in sorted(random.Random(4).sample(range(9, 55), 2)):
        assert kill_at(place, "killed", step, signal.SIGKILL) == -signal.SIGKILL
    saved = max(int(p.name) for p in (place / "killed" / "checkpoints").iterdir() if p.name.isdecimal())
    done = train(place, "killed", "--data.num-workers", "1")
    assert done.returncode == 0, done.stderr
    assert summary(place, "killed")["train/resumed_from"] == saved > 0
    assert f"going on after step {saved}" in done.stdout
    assert all((a == b).all() for a, b in zip(params(place, "killed"), params(place, whole), strict=True))
    assert [(line["step"], line["train/loss"]) for line in lines(place, "killed")] == [
        (line["step"], line["train/loss"]) for line in lines(place, whole)
    ]


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_the_others_do(place, whole):
    """Also before the first save; each start goes on from the last save that was complete."""
    for step in [2, *sorted(random.Random(5).sample(range(8, 58), 5))]:
        kill_at(place, "often", step, signal.SIGKILL)
    done = train(place, "often", "--data.num-workers", "2")
    assert done.returncode == 0, done.stderr
    assert summary(place, "often")["train/resumed_from"] > 0
    assert all((a == b).all() for a, b in zip(params(place, "often"), params(place, whole), strict=True))


def test_a_second_run_in_a_folder_in_use_is_refused_and_another_config_takes_the_next_name(place):
    words = [*command(place, "")[:-2], "--train.steps", "100000"]
    with subprocess.Popen(words, cwd=place, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        try:
            folder = place / "runs" / "tiny"
            until = time.monotonic() + 60
            while not (folder / "metrics.jsonl").exists() and time.monotonic() < until and first.poll() is None:
                time.sleep(0.05)
            first.send_signal(signal.SIGSTOP)  # it holds the folder and leaves the processor to the others
            second = subprocess.run(words, cwd=place, env=environment(), capture_output=True, text=True, check=False)
            assert second.returncode == 1
            assert f"two runs in one folder: process {first.pid} works there" in second.stderr
            other = [*words[:-2], "--train.steps", "1", "--train.seed", "7"]
            third = subprocess.run(other, cwd=place, env=environment(), capture_output=True, text=True, check=False)
            assert third.returncode == 0, third.stderr
            assert "holds another run (train.seed: 0 there, 7 now)" in third.stdout
            assert (place / "runs" / "tiny-2" / "checkpoints" / "1").is_dir()
        finally:
            first.kill()


def test_sigterm_saves_says_how_to_go_on_and_exits_75(place, whole):
    assert kill_at(place, "stopped", 5, signal.SIGTERM) == 75
    stopped = summary(place, "stopped")
    assert stopped["state"] == "stopped"
    assert (place / "stopped" / "checkpoints" / str(stopped["step"])).is_dir()
    assert train(place, "stopped").returncode == 0
    assert summary(place, "stopped")["train/resumed_from"] == stopped["step"]
    assert all((a == b).all() for a, b in zip(params(place, "stopped"), params(place, whole), strict=True))


def test_a_finished_run_says_so_and_another_config_is_refused(place, whole):
    again = train(place, whole)
    assert again.returncode == 0
    assert "is finished: 60 steps. Raise --train.steps to go on" in again.stdout
    other = train(place, whole, "--train.seed", "7")
    assert other.returncode == 2
    assert "holds another run: train.seed: 0 there, 7 now" in other.stderr
    (place / "text.txt").touch()  # the same text: told by its tokens, not by its time
    assert "is finished" in train(place, whole).stdout


def test_from_starts_a_new_run_with_the_weights_of_another(place, whole):
    done = train(
        place, "second", "--from", whole, "--train.steps", "2", "--optimizer.learning-rate", "1e-9", "--optimizer.weight-decay", "0"
    )
    assert done.returncode == 0, done.stderr
    assert "its weights at step 60" in done.stdout
    assert summary(place, "second")["train/resumed_from"] == 0
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(params(place, "second"), params(place, whole), strict=True))
    misfit = train(place, "third", "--from", whole, "--model.embed.embed-dim", "64")
    assert misfit.returncode == 2
    assert "parameter decoder_0/block_0/attention/key is (2, 32, 2, 16) there and" in misfit.stderr


def test_data_show_and_eval_read_the_run(place, whole):
    root = [sys.executable, "-m", "jaxlm.cli.main"]

    def ask(*words):
        return subprocess.run([*root, *words], cwd=place, env=environment(), capture_output=True, text=True, check=False)

    shown = json.loads(ask("data", "show", whole, "--step", "3", "--row", "1", "--json").stdout.splitlines()[-1])
    assert shown["position"] == 9
    assert len(shown["tokens"]) == 32
    assert shown["documents"][0]["id"] == "text.txt"
    assert shown["targets"][:-1] == shown["tokens"][1:]
    outside = ask("data", "show", whole, "--step", "3", "--row", "4")
    assert outside.returncode == 2
    assert "--row 4 is outside the batch: train.batch_size=4, so rows are 0 to 3" in outside.stderr
    metrics = json.loads(ask("eval", whole, "--json").stdout.splitlines()[-1])
    assert metrics["eval/loss"] == pytest.approx(summary(place, whole)["eval/loss"], rel=1e-5)
