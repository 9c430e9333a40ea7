"""The benchmark against nanoGPT runs, and says what it says it does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "cpu_step.py"


@pytest.mark.slow
def test_the_last_line_has_both_shapes_and_null_for_what_was_not_measured():
    one_device = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, PROGRAM, "--json", "--rounds", "1", "--seconds", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, env=one_device)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result.keys() == {"small", "medium"}
    for shape in result.values():
        assert shape.pop("tokens_per_s") > 0
        assert shape == {"ratio_to_eager": None, "ratio_to_compiled": None}


def test_a_folder_that_is_no_clone_is_refused(tmp_path):
    done = subprocess.run([sys.executable, PROGRAM, "--nanogpt", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"--nanogpt {tmp_path}: there is no model.py; give a clone of https://github.com/karpathy/nanoGPT" in done.stderr


def test_a_side_that_dies_ends_the_benchmark_with_its_words(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no torch here >&2\nexit 1\n")
    python.chmod(0o755)
    program = (
        f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import cpu_step; from pathlib import Path\n"
        f"cpu_step.Side([{str(python)!r}], Path({str(tmp_path)!r}) / 'log')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "a process of the benchmark ended:\nno torch here" in done.stderr
