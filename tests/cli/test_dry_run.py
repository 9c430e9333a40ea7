"""`jaxlm train --dry-run`, as its users see it."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from jaxlm.cli.main import main

RECIPE = '''"""Text and tokenizer are elsewhere."""

from pathlib import Path

from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import llama
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import TokenizersFile


def config() -> RunConfig:
    return RunConfig(
        model=llama(num_layers=2, embed_dim=128, num_heads=4, num_kv_heads=2, vocab_size=256, remat="full"),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=TokenizersFile(Path("nowhere.json")),
        data=DataConfig(sources=(TextFiles(Path("nothing.txt")),), seq_len=16),
    )
'''

PODS = Path(__file__).parents[2] / "configs/pods"


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """A recipe in a folder of its own, which nothing else is in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pod.py").write_text(RECIPE)
    return "pod.py"


def test_it_says_what_the_step_sends_and_needs_without_text_or_tokenizer_and_writes_nothing(pod, capsys):
    assert main(["train", pod, "--dry-run", "--mesh.data", "1", "--mesh.fsdp", "8", "--json"]) == 0
    out, said = capsys.readouterr()
    found = json.loads(out.splitlines()[-1])
    assert found["devices"] == 8
    assert found["findings"] == []
    assert found["memory"]["needed"] == sum(found["memory"][part] for part in ("state", "temporary", "program"))
    sent = {(line["kind"], line["axis"]): line for line in found["collectives"]}
    assert set(sent) == {("gather", "fsdp"), ("reduce", "fsdp")}
    assert all(line["expected"] for line in sent.values())
    assert "decoder_0/block_0/mlp/down" in said
    assert "gather             fsdp" in said
    assert [path.name for path in Path().iterdir()] == ["pod.py"]


def test_what_needs_more_than_a_device_has_ends_with_1_after_all_was_said(pod, capsys, monkeypatch):
    from jaxlm.plan import memory

    monkeypatch.setattr(memory, "memory_bytes", lambda devices: 1000)
    assert main(["train", pod, "--dry-run"]) == 1
    out, said = capsys.readouterr()
    assert "a step and device" in out
    assert re.search(r"the step does not fit the device's memory \(0\.\d\d GiB of 0\.00 GiB\); cut more along mesh\.fsdp", said)


def test_what_is_amiss_is_said_with_its_key(pod, capsys):
    assert main(["train", pod, "--dry-run", "--mesh.data", "2", "--mesh.tensor", "4", "--train.batch-size", "3", "--json"]) == 0
    kv_heads, rows, *_ = json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]
    assert kv_heads.startswith("mesh.tensor=4 does not divide kv_heads=2: ")
    assert rows.startswith("train.batch_size=3 is filled up to 4 rows, 25% of the work for nothing: ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--devices", "4"], "--devices 4: goes with --dry-run; training takes the devices that are here"),
        (["--topology", "v5e:4x4"], "--topology v5e:4x4: goes with --dry-run; training takes the devices that are here"),
        (["--dry-run", "--devices", "4", "--topology", "v5e:4x4"], "--devices and --topology: give one of them"),
        (["--dry-run", "--devices", "0"], "--devices 0: give 1 to 16,384"),
        (["--dry-run", "--devices", "1000000"], "--devices 1000000: give 1 to 16,384"),
        (["--dry-run", "--run-dir", "/x"], "--run-dir /x: goes with training; --dry-run reads and writes no run"),
        (["--dry-run", "--from", "x"], "--from x: goes with training; --dry-run reads and writes no run"),
    ],
)
def test_flags_that_do_not_go_together(pod, capsys, flags, words):
    assert main(["train", pod, *flags]) == 2
    assert words in capsys.readouterr().err


def test_a_mesh_that_the_devices_do_not_fit(pod, capsys):
    assert main(["train", pod, "--dry-run", "--mesh.data", "3"]) == 2
    assert (
        "mesh.data=3, mesh.fsdp=1, mesh.tensor=1 need 3 devices and there are 8; choose axes whose product is 8"
        in capsys.readouterr().err
    )


def dry_run(*words: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    return subprocess.run(
        [sys.executable, "-m", "jaxlm", "train", *words, "--dry-run"], env=environment, capture_output=True, text=True, check=False
    )


def test_for_more_devices_than_there_are(pod):
    done = dry_run(pod, "--devices", "12", "--mesh.fsdp", "4")
    assert done.returncode == 0, done.stderr
    assert "mesh: data 3, fsdp 4, tensor 1 on 12 cpu devices" in done.stdout


@pytest.mark.skipif(find_spec("libtpu") is not None, reason="libtpu is installed")
def test_without_libtpu_it_says_what_to_install(pod):
    done = dry_run(pod, "--topology", "v5e:4x4")
    assert done.returncode == 2
    assert '--topology v5e:4x4: libtpu is not installed; it comes with `pip install "jaxlm[tpu]"`' in done.stderr


@pytest.mark.skipif(find_spec("libtpu") is None, reason="libtpu is not installed: pip install 'jaxlm[tpu]'")
def test_a_slice_that_there_is_not(pod):
    done = dry_run(pod, "--topology", "v9:4x4")
    assert done.returncode == 2
    assert "--topology v9:4x4: libtpu knows no such slice (INVALID_ARGUMENT: Invalid TPU external name: TPU v9)." in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(find_spec("libtpu") is None, reason="libtpu is not installed: pip install 'jaxlm[tpu]'")
def test_for_a_tpu_that_is_not_here(pod):
    done = dry_run(pod, "--topology", "v5e:2x4", "--mesh.data", "1", "--mesh.fsdp", "8", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["memory"]["device"] == 16 * 2**30
    assert "TPU v5 lite" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "where"),
    [
        ("pods/bert_large_v5e_16", ("--topology", "v5e:4x4")),
        ("pods/llama2_7b_v5e_256", ("--topology", "v5e:16x16")),
        ("pods/llama3_70b_v5e_256", ("--topology", "v5e:16x16")),
        ("pods/llama3_70b_h100_128", ("--devices", "128")),
    ],
)
def test_the_pods_recipes_fit_and_send_what_they_must(recipe, where):
    if where[0] == "--topology" and find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed: pip install 'jaxlm[tpu]'")
    done = dry_run(recipe, *where, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["findings"] == []


@pytest.mark.parametrize("recipe", sorted(path.stem for path in PODS.glob("*.py")))
def test_each_pod_s_recipe_is_one(recipe, capsys):
    assert main(["config", "show", f"pods/{recipe}", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert f"jaxlm train pods/{recipe} --dry-run" in (PODS / f"{recipe}.py").read_text()
    assert "vocab_size" in json.dumps(shown), "so that a dry run needs no tokenizer"
