"""docs/reference.md is what the code says, and real runs write what the code says."""

import importlib.util
import json
from pathlib import Path

import pytest

from jaxlm.core import UserError
from jaxlm.core.errors import EXIT_CODES
from jaxlm.run.api import train_recipe
from jaxlm.run.files import FILES
from jaxlm.run.recipe import load_recipe
from jaxlm.train.metrics import METRICS
from jaxlm.train.watch import INTERRUPTED

ROOT = Path(__file__).parents[2]
RECIPE = """
from pathlib import Path
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import bert, electra, mixtral
from jaxlm.objectives import CausalLM, ReplacedTokenDetection, SentenceOrder
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig

def experts(context: int, **sizes):
    return mixtral(**sizes)

def pairs(**sizes):
    return bert(**sizes, pairs=True)

KINDS = {"causal": (experts, CausalLM), "masked": (pairs, SentenceOrder), "replaced": (electra, ReplacedTokenDetection)}

def config(*, kind: str) -> RunConfig:
    family, objective = KINDS[kind]
    return RunConfig(
        model=family(num_layers=1, embed_dim=16, num_heads=2, context=32),
        objective=objective(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(Path("text.txt")),), seq_len=32),
        train=TrainConfig(steps=2, batch_size=8),
        log=LogConfig(every=1, progress=False),
    )
"""

OF_PAIRS = {"eval/bits_per_target_byte"}
"""Of an encoder-decoder's run: tests/run/test_pairs_run.py has one."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of two steps of each kind of loss."""
    place = tmp_path_factory.mktemp("reference")
    (place / "tiny.py").write_text(RECIPE)
    (place / "text.txt").write_text("".join(f"I am {i}. He is. We go.\n" for i in range(300)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return [
            train_recipe(load_recipe("tiny.py", ["--kind", kind]), run_dir=Path(kind), say=lambda line: None)
            for kind in ("causal", "masked", "replaced")
        ]


def test_the_document_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.TARGET.read_text(encoding="utf-8") == made.reference(), "run: python docs/make_reference.py"


def test_runs_write_the_metrics_of_the_table(runs):
    of_lines = {key for folder in runs for line in folder.metrics.read_text().splitlines() for key in json.loads(line)}
    of_these = METRICS.keys() - OF_PAIRS
    assert of_lines == {key for key in of_these if METRICS[key].where == "both"}
    assert {key for folder in runs for key in json.loads(folder.summary.read_text())} == of_these


def test_runs_write_the_files_of_the_list(runs):
    for folder in runs:
        names = {f"{path.name}/" if path.is_dir() else path.name for path in folder.path.iterdir()}
        assert names == {name.replace("STEP/", "") for name in FILES}
        assert {path.name for path in folder.checkpoints.iterdir()} == {"2"}


def test_every_error_ends_with_a_code_of_the_table():
    def below(cls):
        yield cls
        for child in cls.__subclasses__():
            yield from below(child)

    codes = {cls.exit_code for cls in below(UserError) if cls.__module__.startswith("jaxlm.")}
    assert codes | {0, INTERRUPTED} == EXIT_CODES.keys()
