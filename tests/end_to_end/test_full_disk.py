"""The real commands on a disk that is full: one message, what stood still stands, and the same command goes on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig

def config() -> RunConfig:
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=32, num_heads=2, context=32),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=SentencePiece(vocab_size=400),
        data=DataConfig(sources=(TextFiles(Path("text.txt")),), seq_len=32),
        train=TrainConfig(steps=8, batch_size=4, eval_batches=1),
        checkpoint=CheckpointConfig(every=2),
        log=LogConfig(every=1),
    )
"""


class Disk:
    """A small one, in memory."""

    def __init__(self, path: Path):
        self.path = path

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)

    def fill(self) -> None:
        with open(self.path / "filler", "wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    return


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", path], capture_output=True).returncode
    ):
        pytest.skip("a disk in memory (tmpfs) may not be mounted here")
    yield Disk(path)
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def jaxlm(tmp_path):
    (tmp_path / "tiny.py").write_text(RECIPE)
    (tmp_path / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(3000)))
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*words, cache="cache"):
        command = [sys.executable, "-m", "jaxlm.cli.main", *words]
        env = {**environment, "JAXLM_CACHE": str(tmp_path / cache)}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)

    return run


def assert_said(done, *words):
    """One line that is no progress, and no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [
        line for line in done.stderr.splitlines() if not re.match(r"step |.* \.\.\. \d+ s$", line)
    ]  # signs of life on a slow machine
    assert len(lines) == 1, done.stderr
    (line,) = lines
    for word in words:
        assert word in line


def test_a_store_is_built_once_there_is_room(disk, jaxlm):
    again = "Free some space, or set JAXLM_CACHE to a folder on another disk, and run the same command again"
    assert_said(
        jaxlm("data", "build", "tiny.py", cache="disk"), f"{disk.path}/tokenizers/", "cannot be written: No space left", again
    )
    disk.resize("32k")
    assert_said(jaxlm("data", "build", "tiny.py", cache="disk"), f"{disk.path}/stores/", "cannot be written: No space left", again)
    disk.resize("4m")
    done = jaxlm("data", "build", "tiny.py", cache="disk")
    assert done.returncode == 0
    assert "training" not in done.stdout  # the tokenizer stood
    (store,) = (path for path in (disk.path / "stores").iterdir() if not path.name.startswith("."))
    assert jaxlm("data", "verify", str(store)).returncode == 0
    disk.fill()
    assert jaxlm("data", "verify", str(store)).returncode == 0


def test_a_run_goes_on_once_there_is_room(disk, jaxlm):
    train = ("train", "tiny.py", "--run-dir", "disk/run")
    assert_said(jaxlm(*train), f"{disk.path}/run", "cannot be written: No space left", "run the same command again")
    disk.resize("700k")
    assert_said(
        jaxlm(*train),
        f"checkpoint in {disk.path}/run/checkpoints could not be saved: ",
        "No space left on device",
        "The checkpoints before it stand; free some room or mend the folder, and run the same command again",
    )
    saved = max(int(path.name) for path in (disk.path / "run" / "checkpoints").iterdir() if path.name.isdecimal())
    disk.fill()
    kept = {
        path: path.read_bytes() for path in (disk.path / "run").rglob("*") if path.name in ("data.json", "jaxlm_tokenizer.json")
    }
    assert_said(jaxlm(*train), f"{disk.path}/run", "cannot be written: No space left", "the checkpoints stand")
    assert len(kept) == 2
    assert all(path.read_bytes() == data for path, data in kept.items())
    disk.resize("8m")
    done = jaxlm(*train)
    assert done.returncode == 0, done.stderr
    assert f"going on after step {saved}" in done.stdout
