"""A source in one file: trained on, gone on with and looked into, from a folder of its own."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = ["--train.batch-size", "2", "--train.eval-batches", "1", "--data.seq-len", "32", "--model.decoder.0.repeats", "1"]


@pytest.fixture
def jaxlm(tmp_path):
    """Runs a command in a folder that holds nothing but the letters."""
    with sqlite3.connect(tmp_path / "letters.db") as letters:
        letters.execute("create table letters (id integer, text text)")
        rows = [(i, f"Dear {i}, the sum of {i} and {i * i} is {i + i * i}. Yours, number {i % 7}.\n") for i in range(300)]
        letters.executemany("insert into letters values (?, ?)", rows)
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(ROOT), "JAXLM_CACHE": str(tmp_path / "cache")}

    def run(*words):
        command = [sys.executable, "-m", "jaxlm.cli.main", *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_source_of_ones_own(jaxlm, tmp_path):
    train = ["train", ROOT / "examples" / "own_source.py", "--database", "letters.db", *SHORT]
    first = jaxlm(*train, "--train.steps", 2)
    assert first.returncode == 0, first.stderr
    second = jaxlm(*train, "--train.steps", 4)
    assert second.returncode == 0, second.stderr
    assert "going on after step 2" in second.stdout
    shown = jaxlm("data", "show", "runs/own_source", "--step", 4, "--json")
    assert shown.returncode == 2
    assert "data.sources.0.type: 'recipe:Table' in" in shown.stderr
    assert "add --trust" in shown.stderr
    shown = json.loads(jaxlm("data", "show", "runs/own_source", "--step", 4, "--trust", "--json").stdout.splitlines()[-1])
    assert shown["source"] == "Table"
    number = shown["documents"][1]["id"]
    assert f"Dear {number}, the sum of" in shown["text"]
    with sqlite3.connect(tmp_path / "letters.db") as letters:
        letters.execute("insert into letters values (-1, 'One more.')")
    other = jaxlm(*train, "--run-dir", "runs/own_source")
    assert other.returncode == 2
    assert "holds another run: data (digest of its tokens): " in other.stderr
