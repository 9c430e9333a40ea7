"""Ctrl-C, sent to a real process wherever it is: a line and exit code 130, at once and without a traceback."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = '''
from collections.abc import Iterator
from dataclasses import dataclass
import hashlib, time

def here(how: str) -> None:
    """Says that the test may go on, then lasts."""
    print("here", flush=True)
    if how == "library":
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # minutes without a Python instruction
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:  # as jax's callbacks do, which print it and go on
            print("swallowed", flush=True)

STAGE, HOW = {stage!r}
if STAGE == "import":
    here(HOW)

from jaxlm.core import Document, Source
from jaxlm.data.config import DataConfig
from jaxlm.models import modern
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig

@dataclass(frozen=True)
class Slow(Source):
    def fingerprint(self) -> str:
        return STAGE + HOW

    def documents(self) -> Iterator[Document]:
        for i in range(4):
            yield Document.of(str(i), "a text of some length " * 50)
            if STAGE == "text":
                here(HOW)

def config() -> RunConfig:
    return RunConfig(
        model=modern(num_layers=1, embed_dim=16, num_heads=1),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(Slow(),), seq_len=16),
        train=TrainConfig(steps=1, batch_size=8, eval_batches=1),
        log=LogConfig(tensorboard=False),
    )
'''


def environment(place):
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": paths, "JAXLM_CACHE": str(place / "cache")}


def interrupted(place, words, until):
    """Starts the command, interrupts it once it has printed `until`, returns (exit code, rest of stdout, stderr)."""
    with subprocess.Popen(
        [sys.executable, "-m", "jaxlm", *words],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        seen = ""
        while not seen.endswith(until):
            letter = process.stdout.read(1)
            assert letter, process.stderr.read()
            seen += letter
        os.killpg(process.pid, signal.SIGINT)  # all of the terminal's processes get it
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize("how", ["python", "library"])
@pytest.mark.parametrize("stage", ["import", "text"])
@pytest.mark.parametrize("command", ["train", "data build"])
def test_before_the_loop(tmp_path, command, stage, how):
    (tmp_path / "slow.py").write_text(RECIPE.replace("{stage!r}", repr((stage, how))))
    assert interrupted(tmp_path, [*command.split(), "slow.py"], "here\n") == (130, "", "interrupted\n")
    if (command, stage) == ("train", "text"):  # what `jaxlm runs` will say of it
        done = subprocess.run(
            [sys.executable, "-m", "jaxlm", "runs", "--json"],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            check=True,
        )
        assert [each["state"] for each in json.loads(done.stdout)["runs"]] == ["stopped"]


def test_generate(tmp_path):
    (tmp_path / "quick.py").write_text(RECIPE.replace("{stage!r}", repr(("", ""))))
    words = [sys.executable, "-m", "jaxlm", "train", "quick.py", "--run-dir", "run"]
    subprocess.run(words, cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=True)
    code, _, err = interrupted(tmp_path, ["generate", "run", "--prompt", "x", "--max-tokens", "5000"], "x")
    assert (code, err) == (130, "interrupted\n")


def test_its_json(tmp_path):
    (tmp_path / "slow.py").write_text(
        RECIPE.replace("{stage!r}", repr(("import", "python"))).replace('"here"', '"here", file=__import__("sys").__stdout__')
    )
    code, out, err = interrupted(tmp_path, ["train", "slow.py", "--json"], "here\n")
    assert (code, err) == (130, "interrupted\n")
    assert json.loads(out.splitlines()[-1]) == {"error": "interrupted", "exit_code": 130}


def test_after_the_end_it_does_nothing(tmp_path):
    """The interpreter takes its handlers away on its way out, and what comes then would kill it."""
    program = (
        "import atexit, signal, sys\nfrom jaxlm.cli.entry import entry\nsys.argv[1:] = ['--version']\n"
        "atexit.register(signal.raise_signal, signal.SIGINT)\nentry()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_where_it_is_ignored_it_stays_so():
    program = "import signal\nfrom jaxlm.cli.interrupt import end_on_interrupt\nend_on_interrupt()\nsignal.raise_signal(signal.SIGINT)\nprint('on')"
    words = ["bash", "-c", f'trap "" INT; exec {sys.executable} -c "$0"', program]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (0, "on\n"), done.stderr
