"""Each example, copied to a folder that holds nothing else: trained, gone on with, used, and held to the laws."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxlm.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
OBJECTIVES = ("focal", "previous_word", "two_terms", "own_head")
MODELS = ("own_family", "own_layer")
SHORT = ["--train.batch-size", "4", "--data.seq-len", "32", "--train.eval-batches", "1", "--tokenizer.vocab-size", "400"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path, monkeypatch, cache):
    """A foreign folder with a text to learn, as the current one."""
    monkeypatch.setenv("JAXLM_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    words = ["".join(chr(97 + (i * k) % 26) for k in range(1, 3 + i % 5)) for i in range(60)]
    lines = (" ".join(words[(i * j + i // 60) % 60] for j in range(1, 12)) + f" {i}.\n\n" for i in range(1, 600))
    Path("text.txt").write_text("".join(lines))
    return tmp_path


def recipe(name):
    shutil.copy(EXAMPLES / f"{name}.py", ".")
    if "text" not in Path(f"{name}.py").read_text():
        source = Path(f"{name}.py").read_text()
        Path(f"{name}.py").write_text(source.replace('recipe("nano/gpt2")', 'recipe("nano/gpt2", text="text.txt")'))
    return f"{name}.py"


@pytest.mark.parametrize("name", [*OBJECTIVES, *MODELS])
def test_it_trains_shards_and_generates(folder, name, capsys):
    words = ["train", recipe(name), *SHORT, "--mesh.data", "2", "--mesh.fsdp", "2", "--mesh.tensor", "2", "--train.steps", "3"]
    assert main(words) == 0
    generate = ["generate", f"runs/{name}", "--prompt", "abc", "--max-tokens", "4", "--json"]
    own_model = name in ("own_head", "own_layer")  # the model's own code is run where it is trusted alone
    assert main(generate) == (2 if own_model else 0)
    out, err = capsys.readouterr()
    if own_model:
        assert "add --trust" in err
        assert main([*generate, "--trust"]) == 0
        out, _ = capsys.readouterr()
    assert len(json.loads(out.splitlines()[-1])["completions"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OBJECTIVES, *MODELS])
def test_it_keeps_the_laws(folder, name, capsys):
    assert main(["selftest", recipe(name), "--tokenizer.vocab-size", "400"]) == 0
    assert "laws hold" in capsys.readouterr().out


@pytest.mark.parametrize("name", [*OBJECTIVES, *MODELS])
def test_it_is_short(name):
    lines = [line for line in (EXAMPLES / f"{name}.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 30


def test_focal_is_killed_and_goes_on_with_workers_and_a_dial_of_its_own(folder):
    words = [sys.executable, "-m", "jaxlm.cli.main", "train", recipe("focal"), "--objective.gamma", "1.5", *SHORT]
    words += [
        "--data.num-workers",
        "2",
        "--train.steps",
        "100000",
        "--checkpoint.every",
        "20",
        "--checkpoint.every-seconds",
        "None",
    ]
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(EXAMPLES.parent)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        until = time.monotonic() + 200
        while not any(path.name.isdecimal() for path in Path("runs/focal/checkpoints").glob("*")) and time.monotonic() < until:
            assert process.poll() is None, process.stdout and process.stdout.read()
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    saved = max(int(path.name) for path in Path("runs/focal/checkpoints").glob("*") if path.name.isdecimal())
    words[words.index("100000")] = str(saved + 3)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(Path("runs/focal/summary.json").read_text())
    assert 0 < summary["train/resumed_from"] <= saved
    objective = json.loads(Path("runs/focal/config.json").read_text())["objective"]
    assert objective == {"type": "recipe:FocalLM", "z_loss": 0.0, "label_smoothing": 0.0, "gamma": 1.5}
    words[words.index("1.5")] = "1.0"
    assert subprocess.run([*words, "--run-dir", "runs/focal"], env=environment, capture_output=True, check=False).returncode == 2
