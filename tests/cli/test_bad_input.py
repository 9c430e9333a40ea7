"""What a user may get wrong: one message, its exit code, and nothing that exists is touched."""

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from jaxlm.cli.main import main
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import lock_folder
from jaxlm.tokenizer import Characters

RECIPE = """
from pathlib import Path
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import bert, gpt2
from jaxlm.objectives import CausalLM, MaskedLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig

def config(*, masked: bool = False) -> RunConfig:
    sizes = {"num_layers": 1, "embed_dim": 16, "num_heads": 2, "context": 16}
    return RunConfig(
        model=bert(**sizes) if masked else gpt2(**sizes),
        objective=MaskedLM() if masked else CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(Path("text.txt")),), seq_len=16),
        train=TrainConfig(steps=1, batch_size=8),
        log=LogConfig(tensorboard=False, progress=False),
    )
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two runs of one step, `gpt` and `bert`, and copies of the first, each with one thing wrong."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    (folder / "tiny.py").write_text(RECIPE)
    (folder / "raises.py").write_text(RECIPE.replace("    sizes =", "    size = {}['small']\n    sizes ="))
    (folder / "without.py").write_text(RECIPE.replace("def config", "def settings"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "tiny.py", "--run-dir", "gpt"]) == 0
        assert main(["train", "tiny.py", "--masked", "--run-dir", "bert"]) == 0

    def copy(name, change=lambda node: None):
        shutil.copytree(folder / "gpt", folder / name)
        node = json.loads((folder / name / "config.json").read_text())
        change(node)
        (folder / name / "config.json").write_text(json.dumps(node))
        return folder / name

    copy("newer", lambda node: node.update(format=99))
    copy("misspelt", lambda node: node["model"]["decoder"][0].update(repeat=2))
    copy("mistyped", lambda node: node["train"].update(steps="many"))
    copy("wider", lambda node: node["model"]["embed"].update(embed_dim=32))
    shutil.rmtree(copy("untrained") / "checkpoints")
    shutil.rmtree(copy("mute") / "tokenizer")
    shutil.rmtree(copy("foreign") / "checkpoints")
    (folder / "foreign/config.json").write_text('{"model_type": "gpt2"}')
    Characters().train(lambda: ["abc"]).save(copy("respelt") / "tokenizer")
    (copy("bare") / "data.json").write_text("{}")
    return folder


def files(folder: Path) -> dict[str, bytes | None]:
    """All below it, with the bytes of files; who holds a run's lock is no part of it."""
    found = (path for path in folder.rglob("*") if path.name not in ("lock", "__pycache__"))
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


NEWER = "{place}/newer/config.json: format 99 is newer than 1, the newest that this jaxlm reads. Upgrade jaxlm."
RESPELT = (
    "{place}/respelt/tokenizer is not the tokenizer that the run was trained with (digest 72da3c88c6d9, data.json says "
    "a33a8abce653). Bring the run's own back"
)
WIDER = (
    "checkpoint {place}/wider/checkpoints/1 is of another model: parameter decoder_0/block_0/attention/key is (1, 16, 2, 8) there "
    "and (1, 32, 2, 16) by config and tokenizer. Bring back the config.json and tokenizer/ that it was saved with"
)
MISSPELT = "model.decoder.0.repeat: Stack has no 'repeat'. Did you mean 'repeats'? Mend it in {place}/misspelt/config.json."
MISFIT = "give the recipe the same model, or start from another run"
BAD = [
    # axes, lengths, keys and types
    (
        "train tiny.py --run-dir new --mesh.data 3",
        2,
        "mesh.data=3, mesh.fsdp=1, mesh.tensor=1 need 3 devices and there are 8; choose axes whose product is 8, such as mesh.data=8, "
        "mesh.fsdp=1, mesh.tensor=1; mesh.data=4, mesh.fsdp=1, mesh.tensor=2; mesh.data=4, mesh.fsdp=2, mesh.tensor=1; or -1 for one "
        "of them",
    ),
    (
        "train tiny.py --run-dir new --data.seq-len 32",
        2,
        "data.seq_len=32 is more than the model's 16 positions; shorten it, or set model.embed.positions.length to 32",
    ),
    (
        "train tiny.py --run-dir new --model.decoder.0.pattern.0.mlp.mlp-dam 3",
        2,
        "--model.decoder.0.pattern.0.mlp.mlp-dam: there is no such flag. Did you mean '--model.decoder.0.pattern.0.mlp.mlp-dim' or "
        "'--model.decoder.0.pattern.0.mlp'?",
    ),
    ("train misspelt", 2, MISSPELT),
    ("generate misspelt --prompt a", 2, MISSPELT),
    (
        "train tiny.py --run-dir new --train.steps many",
        2,
        "train.steps: 'many' was given, int is allowed. Set it in the recipe or with --train.steps VALUE.",
    ),
    ("eval mistyped", 2, "train.steps: 'many' was given, int is allowed. Mend it in {place}/mistyped/config.json."),
    # recipes
    ("train without.py", 2, "{place}/without.py:1: has no function `config`. A recipe defines def config() -> RunConfig."),
    ("train raises.py", 2, "{place}/raises.py:13: KeyError: 'small'"),
    (
        "train ~nobody-here/tiny.py",
        2,
        "RECIPE: '~nobody-here/tiny.py' is no path: Could not determine home directory. Give another.",
    ),
    (
        f"train {'a' * 300}",
        2,
        f"RECIPE: '{'a' * 76}... is no path: a name in it is longer than 255 bytes. Give another.",
    ),
    # run folders
    (
        "generate ~nobody-here/run --prompt a",
        2,
        "RUN: '~nobody-here/run' is no path: Could not determine home directory. Give another.",
    ),
    (
        "data verify ~nobody-here/store",
        2,
        "STORE: '~nobody-here/store' is no path: Could not determine home directory. Give another.",
    ),
    ("train newer --train.steps 4", 2, NEWER),
    ("train tiny.py --run-dir newer --train.steps 4", 2, NEWER),
    ("train tiny.py --run-dir new --from newer", 2, NEWER),
    ("generate newer --prompt a", 2, NEWER),
    ("data show newer", 2, NEWER),
    ("train tiny.py --run-dir foreign", 2, "--run-dir: {place}/foreign/config.json is no run's. Give another folder."),
    ("train tiny.py --run-dir text.txt", 2, "--run-dir: {place}/text.txt is a file. Give a folder."),
    (
        "train tiny.py --run-dir gpt --train.seed 3",
        2,
        "--run-dir: {place}/gpt holds another run: train.seed: 0 there, 3 now. Give another folder, take the change back, or delete "
        "that one.",
    ),
    ("train tiny.py --run-dir bare", 2, "{place}/bare/data.json: digest is missing or broken. Give a data.json that jaxlm wrote."),
    # checkpoints of another tokenizer or shape
    ("train respelt --train.steps 4", 1, RESPELT),
    ("train tiny.py --run-dir new --from respelt", 1, RESPELT),
    ("generate respelt --prompt a", 1, RESPELT),
    ("eval respelt", 1, RESPELT),
    ("data show respelt", 1, RESPELT),
    ("tokenizer show respelt --text a", 1, RESPELT),
    (
        "generate mute --prompt a",
        1,
        "{place}/mute/tokenizer/jaxlm_tokenizer.json does not exist: this folder holds no tokenizer. Bring back the run's tokenizer/, "
        "or name another run.",
    ),
    ("train wider --train.steps 4", 1, WIDER),
    ("train tiny.py --run-dir new --model.embed.embed-dim 32 --from wider", 1, WIDER),
    ("generate wider --prompt a", 1, WIDER),
    ("eval wider", 1, WIDER),
    # --from
    (
        "train tiny.py --run-dir new --from gpt --model.embed.embed-dim 32",
        2,
        "--from gpt: parameter decoder_0/block_0/attention/key is (1, 16, 2, 8) there and (1, 32, 2, 16) in this recipe's model; "
        + MISFIT,
    ),
    (
        "train tiny.py --run-dir new --from bert",
        2,
        "--from bert: parameter embed/norm/bias is (16,) there and absent in this recipe's model; " + MISFIT,
    ),
    (
        "train tiny.py --run-dir new --from nowhere",
        2,
        "--from: nowhere does not exist. Give a folder that `jaxlm train` made, such as runs/quickstart",
    ),
    (
        "train tiny.py --run-dir new --from untrained",
        1,
        "{place}/untrained has no checkpoint yet; train it first: jaxlm train {place}/untrained/config.json",
    ),
    ("eval untrained", 1, "{place}/untrained has no checkpoint yet; train it first: jaxlm train {place}/untrained/config.json"),
    # prompts, rows, steps
    (
        "fill-mask gpt --prompt [MASK]",
        2,
        "fill-mask: the model's attention is causal, so it does not see what follows a gap; use `jaxlm generate`, or a run with "
        "objective MaskedLM (a bert).",
    ),
    (
        "generate bert --prompt a",
        2,
        "generate: the model's attention is bidirectional, so it cannot write a text on; use `jaxlm fill-mask`, or a run of a causal "
        "model.",
    ),
    (
        "generate gpt --prompt 'far longer than the context'",
        2,
        "--prompt: its 28 tokens leave no room in the model's context of 16. Shorten it to at most 15 tokens, the begin token "
        "included.",
    ),
    (
        "fill-mask bert --prompt 'far longer than the [MASK]'",
        2,
        "--prompt: its 23 tokens are more than the model's context of 16. Shorten it to at most 16 tokens, begin and end token "
        "included.",
    ),
    ("data show gpt --row 8", 2, "--row 8 is outside the batch: train.batch_size=8, so rows are 0 to 7"),
    ("data show gpt --row -1", 2, "--row -1 is outside the batch: train.batch_size=8, so rows are 0 to 7"),
    ("data show gpt --step 2", 2, "--step 2 is outside the run: train.steps=1, so steps are 1 to 1"),
    ("data show gpt --step 0", 2, "--step 0 is outside the run: train.steps=1, so steps are 1 to 1"),
]


@pytest.mark.parametrize(("line", "code", "words"), BAD, ids=[line for line, _, _ in BAD])
def test_words_of_bad_input(place, monkeypatch, capsys, line, code, words):
    monkeypatch.chdir(place)
    before = files(place)
    found = main(shlex.split(line))
    assert (found, capsys.readouterr().err) == (code, words.replace("{place}", str(place)) + "\n")
    assert files(place) == before


def test_two_runs_in_one_folder(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    before = files(place)
    with lock_folder(RunFolder(place / "gpt")):
        assert main(shlex.split("train tiny.py --run-dir gpt --train.steps 4")) == 1
    assert capsys.readouterr().err == (
        f"{place}/gpt: two runs in one folder: process {os.getpid()} works there. Wait for it, stop it, or give another --run-dir.\n"
    )
    assert files(place) == before
