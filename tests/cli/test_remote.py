"""Every command with recipe, store and run in an object store; what a user may get wrong there."""

import json
import re
from pathlib import Path

import pytest
from stand_in import SECRET

from jaxlm.cli.main import main
from jaxlm.core.paths import is_file, store_of, to_path, write_whole

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

class OwnLM(CausalLM):
    '''A loss of the recipe's own.'''

def config(*, text: Path) -> RunConfig:
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=16),
        objective=OwnLM(),
        optimizer=AdamW(),
        tokenizer=SentencePiece(vocab_size=300),
        data=DataConfig(sources=(TextFiles(text),), seq_len=16, packing="best_fit"),
        train=TrainConfig(steps=4, batch_size=8),
        checkpoint=CheckpointConfig(every=2),
        log=LogConfig(every=1),
    )
"""


def everything(s3) -> dict[str, bytes]:
    """Each object of the test's own folder."""
    files, name = store_of(to_path(s3.root, ""))
    return {path.removeprefix(f"{name}/"): files.cat_file(path) for path in files.find(name)}


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    (tmp_path / "mine.py").write_text(RECIPE)
    return str(tmp_path / "text.txt")


def said(capfd, words) -> str:
    code = main(words)
    out, err = capfd.readouterr()
    assert code == 0, err
    assert SECRET not in out + err
    return out


def test_built_trained_gone_on_and_looked_at(s3, text, monkeypatch, capfd):
    """With the losses of a run on this machine, and the secret nowhere."""
    recipe, run = f"{s3.root}/recipes/mine.py", f"{s3.root}/runs/one"
    said(capfd, ["train", "mine.py", "--text", text, "--run-dir", "here"])
    write_whole(to_path(recipe, ""), RECIPE)
    monkeypatch.setenv("JAXLM_CACHE", f"{s3.root}/cache")
    built = json.loads(said(capfd, ["data", "build", recipe, "--text", text, "--json"]).splitlines()[-1])
    assert built["store"].startswith(f"{s3.root}/cache/stores/")
    assert "finished" in said(capfd, ["train", recipe, "--text", text, "--run-dir", run, "--json"]).splitlines()[-1]
    assert "is finished: 4 steps" in said(capfd, ["train", run, "--trust"])
    assert "going on after step 4" in said(capfd, ["train", recipe, "--text", text, "--run-dir", run, "--train.steps", "6"])
    objects = everything(s3)
    lines = [json.loads(line) for line in objects["runs/one/metrics.jsonl"].splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    here = [json.loads(line) for line in Path("here/metrics.jsonl").read_text().splitlines()]
    assert [line["train/loss"] for line in lines[:4]] == [line["train/loss"] for line in here]
    assert {"config.json", "recipe.py", "data.json", "summary.json", "lock", "tokenizer/sentencepiece.model"} <= {
        name.removeprefix("runs/one/") for name in objects
    }
    assert any(name.startswith("runs/one/tensorboard/events") for name in objects)
    assert {name.split("/")[3] for name in objects if name.startswith("runs/one/checkpoints/")} == {"4", "6"}
    assert json.loads(objects["runs/one/summary.json"])["train/resumed_from"] == 4
    assert not [name for name, content in objects.items() if SECRET.encode() in content]

    assert "line" in said(capfd, ["generate", run, "--prompt", "line", "--max-tokens", "3", "--json"])
    assert "text.txt" in said(capfd, ["data", "show", run, "--step", "1", "--trust", "--json"])
    assert "all of it is what was written" in said(capfd, ["data", "verify", run])
    assert "all of it is what was written" in said(capfd, ["data", "verify", built["store"]])
    assert "a vocabulary of 300" in said(capfd, ["tokenizer", "show", run, "--text", "line"])
    assert "upload-seconds" in said(capfd, ["config", "show", f"{run}/config.json", "--trust"])
    found = json.loads(said(capfd, ["runs", f"{s3.root}/runs", "--json"]))
    assert [(row["name"], row["state"], row["step"]) for row in found["runs"]] == [("one", "finished", 6)]


@pytest.mark.slow
def test_a_run_there_is_evaluated_and_begun_from(s3, text, capfd):
    run = f"{s3.root}/runs/one"
    said(capfd, ["train", "mine.py", "--text", text, "--run-dir", run])
    assert "eval/loss" in said(capfd, ["eval", run, "--trust"])
    told = said(capfd, ["train", "mine.py", "--text", text, "--run-dir", f"{s3.root}/runs/two", "--from", run])
    assert f"--from {run}: its weights at step 4" in told
    assert json.loads((to_path(f"{s3.root}/runs/two", "") / "data.json").read_text())["from"] == run


def test_every_line_up_to_a_checkpoint_is_there_before_it(s3, text, monkeypatch, capfd):
    """As where the machine is lost: nothing comes by the clock, nothing at the end."""
    monkeypatch.setattr("jaxlm.train.upload.Upload.close", lambda upload: None)
    said(capfd, ["train", "mine.py", "--text", text, "--run-dir", f"{s3.root}/run"])
    lines = (to_path(f"{s3.root}/run", "") / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


NO_BUCKET = (
    r" cannot be read: The specified bucket does not exist\. Give a bucket that exists and that this machine's credentials may"
)
WRONG = {
    "train mine.py --text text.txt --run-dir s3://none/run": rf"--run-dir: s3://none/run{NO_BUCKET}",
    "train mine.py --text text.txt --run-dir s3://bucket/closed/run": r"--run-dir: s3://bucket/closed/run cannot be read: (Access Denied|Forbidden)\. Give",
    "train mine.py --text text.txt --run-dir s3://bucket/locked/run": r"--run-dir: s3://bucket/locked/run cannot be written: Access Denied\. Give",
    "train mine.py --text text.txt --run-dir az://x/run": r"--run-dir: az://x/run is of no store that is known\. Allowed: a path of this machine, gs://BUCKET",
    "train mine.py --text text.txt --run-dir s3:///x": r"--run-dir: s3:///x names no bucket\. Allowed: s3://BUCKET",
    "train mine.py --text text.txt --run-dir s3://bucket/a?b": r"--run-dir: s3://bucket/a\?b has a '\?', which the libraries that",
    "train mine.py --text text.txt --run-dir s3://": r"--run-dir: s3:// names no bucket\. Allowed: s3://BUCKET",
    "train s3://none/mine.py": rf"RECIPE: s3://none/mine.py{NO_BUCKET}",
    "train s3://bucket/no/mine.py": r"RECIPE: 's3://bucket/no/mine.py' is no \.py file, no run and no shipped recipe",
    "train mine.py --text s3://bucket/text.txt": r".*path: s3://bucket/text.txt is not of this machine, and text is read from files: copy it",
    "train mine.py --text text.txt --run-dir run --from s3://none/run": rf"--from: s3://none/run{NO_BUCKET}",
    "generate s3://none/run --prompt a": rf"RUN: s3://none/run{NO_BUCKET}",
    "generate s3://bucket/no/run --prompt a": r"RUN: s3://bucket/no/run does not exist\. Give a folder that `jaxlm train` made",
    "data verify s3://none/store": rf"STORE: s3://none/store{NO_BUCKET}",
    "runs s3://none/runs": rf"DIR: s3://none/runs{NO_BUCKET}",
    "JAXLM_CACHE=s3://none/cache data build mine.py --text text.txt": rf"JAXLM_CACHE: s3://none/cache{NO_BUCKET}",
    "JAXLM_CACHE=s3://bucket/locked/cache data build mine.py --text text.txt": r"JAXLM_CACHE: s3://bucket/locked/cache cannot be written: Access Denied\. Give",
    "JAXLM_CACHE=ftp://x data build mine.py --text text.txt": r"JAXLM_CACHE: ftp://x is of no store that is known",
}


@pytest.mark.parametrize("line", WRONG)
def test_one_message_before_a_device_is_touched(s3, text, monkeypatch, capfd, line):
    cache, _, line_ = line.partition(" ") if line.startswith("JAXLM_CACHE=") else ("", "", line)
    if cache:
        monkeypatch.setenv("JAXLM_CACHE", cache.partition("=")[2])
    import jax

    monkeypatch.setattr(jax, "devices", lambda *_: pytest.fail("a device was touched"))
    assert main(line_.split()) == 2
    err = capfd.readouterr().err
    assert re.match(WRONG[line], err), err
    assert "Traceback" not in err
    assert SECRET not in err


def test_a_folder_that_goes_between_two_looks_is_no_file(s3, monkeypatch):
    """As one in which another process asks whether it may write."""
    path = to_path(f"{s3.root}/run", "")
    write_whole(path / "probe", "x")
    monkeypatch.setattr(type(path), "is_dir", lambda _: False)
    assert not is_file(path)
    assert is_file(path / "probe")


def test_an_endpoint_that_is_none(text, s3, monkeypatch, capfd):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    monkeypatch.setattr("s3fs.S3FileSystem.cachable", False)  # else fsspec has the one of another endpoint
    assert main(["train", "mine.py", "--text", text, "--run-dir", "s3://bucket/run"]) == 2
    err = capfd.readouterr().err
    assert err.startswith("--run-dir: s3://bucket/run cannot be read: Invalid endpoint: minio:9000. Give a bucket")
    assert "AWS_ENDPOINT_URL" in err


def test_the_package_is_missing(text, monkeypatch, capfd):
    monkeypatch.setattr("jaxlm.core.paths.find_spec", lambda name: None)
    for scheme, package, extra in (("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs")):
        assert main(["train", "mine.py", "--text", text, "--run-dir", f"{scheme}://b/run"]) == 2
        wanted = f"--run-dir: {scheme}://b/run needs the package {package}, which is not installed: pip install 'jaxlm[{extra}]'\n"
        assert capfd.readouterr().err == wanted


def test_another_run_in_the_folder_is_refused(s3, text, capfd):
    run = f"{s3.root}/run"
    said(capfd, ["train", "mine.py", "--text", text, "--run-dir", run])
    assert main(["train", "mine.py", "--text", text, "--run-dir", run, "--train.seed", "1"]) == 2
    assert re.match(rf"--run-dir: {run} holds another run: train\.seed", capfd.readouterr().err)
