"""What a start from a run's own folder takes over, what is refused before anything exists, and what a run says of itself."""

import errno
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxlm
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import ConfigError, RunError, Source
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.data.store import open_store
from jaxlm.generate import Continuation
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.report.held_out import first_words
from jaxlm.run.api import train_recipe
from jaxlm.run.config import RunConfig
from jaxlm.run.folder import decide_folder
from jaxlm.run.inspect import trained_row
from jaxlm.run.recipe import load_recipe, recipe_of
from jaxlm.run.text import store_for, text_of
from jaxlm.tokenizer import Bytes, SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("named")


@pytest.fixture(scope="module")
def config(place):
    (place / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=16),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(place / "text.txt"),), seq_len=16),
        train=TrainConfig(steps=2, batch_size=8),
        checkpoint=CheckpointConfig(every=2),
        log=LogConfig(every=1, tensorboard=False, progress=False),
    )


@pytest.fixture(scope="module")
def first(config, place):
    return jaxlm.fit(config, place / "first")


def saved_data(folder):
    return json.loads((folder / "data.json").read_text())


def saved(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_new_run_of_a_runs_config_has_a_schedule_as_long_as_itself(first, place):
    assert saved(first.dir)["optimizer"]["steps"] == 2
    train_recipe(load_recipe(first.dir, ["--train.steps", "4"]), run_dir=place / "longer", say=lambda line: None)
    assert saved(place / "longer")["optimizer"]["steps"] == 4
    rates = [json.loads(line)["train/learning_rate"] for line in (place / "longer" / "metrics.jsonl").read_text().splitlines()]
    assert len(set(rates)) == 4


def test_going_on_keeps_the_schedule(config, place):
    jaxlm.fit(config, place / "goes on")
    train_recipe(load_recipe(place / "goes on", ["--train.steps", "3"]), say=lambda line: None)
    assert saved(place / "goes on")["optimizer"]["steps"] == 2
    assert jaxlm.load(place / "goes on").step == 3


def test_a_run_that_is_named_brings_the_weights_that_it_began_with(first, config, place):
    still = replace(config, optimizer=AdamW(learning_rate=1e-9, weight_decay=0.0), train=TrainConfig(steps=1, batch_size=8, seed=3))
    train_recipe(recipe_of(still), run_dir=place / "tuned", start_from=str(first.dir), say=lambda line: None)
    said = []
    train_recipe(load_recipe(place / "tuned"), say=said.append)
    assert "is finished: 1 steps" in said[0]  # the same run, though --from was not said again
    train_recipe(load_recipe(place / "tuned"), run_dir=place / "again", say=lambda line: None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), jaxlm.load(place / "again").params, first.params)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: replace(c, mesh=MeshConfig(data=3)), "mesh.data=3, mesh.fsdp=1, mesh.tensor=1 need 3 devices and there are 8"),
        (lambda c: replace(c, data=replace(c.data, seq_len=17)), "data.seq_len=17 is more than the model's 16 positions"),
        (lambda c: replace(c, data=replace(c.data, weights=(1.0, 2.0))), "data.weights=(1.0, 2.0) has 2 numbers for 1 sources"),
        (
            lambda c: replace(c, model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=16, dropout=1.0)),
            "model.embed.dropout=1.0 must be at least 0 and below 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_text_is_read_or_a_folder_made(config, tmp_path, change, words):
    unread = replace(config.data, sources=(Unreadable(),))
    with pytest.raises(ConfigError) as error:
        jaxlm.fit(change(replace(config, data=unread)), tmp_path / "new")
    assert str(error.value).startswith(words)
    assert not (tmp_path / "new").exists()


@dataclass(frozen=True)
class Unreadable(Source):
    def fingerprint(self):
        return "never read"

    def documents(self):
        raise AssertionError("the text was read")


def test_a_summary_of_an_older_step_is_made_anew(config, place):
    """A kill between the last save and the summary leaves that of the start before."""
    jaxlm.fit(config, place / "stale")
    old = (place / "stale" / "summary.json").read_text()
    longer = replace(config, train=replace(config.train, steps=3))
    jaxlm.fit(longer, place / "stale")
    (place / "stale" / "summary.json").write_text(old)
    run = jaxlm.fit(longer, place / "stale")
    assert (run.summary["step"], run.summary["state"]) == (3, "finished")


def test_a_folder_says_whose_it_is_before_text_is_read(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    def ask(line):
        if not asked:  # the first thing that is said once the folder is locked
            other = replace(config, train=replace(config.train, seed=7))
            asked.append(decide_folder(replace(recipe_of(other), name="same")).folder.path.name)

    train_recipe(replace(recipe_of(config), name="same"), say=ask)
    assert asked == ["same-2"]


def test_a_warm_up_that_is_never_over_is_said(config, tmp_path):
    said = []
    train_recipe(recipe_of(replace(config, optimizer=AdamW(warmup_steps=2))), run_dir=tmp_path / "cold", say=said.append)
    words = "the rate never reaches its peak: optimizer.warmup_steps=2 are not over within 2 steps"
    assert any(words in line for line in said)


@pytest.mark.parametrize(("repeats", "rows"), [(1, "1 row"), (6, "5 rows")])
def test_text_shorter_than_a_row_or_a_batch_is_trained_on_and_said(config, tmp_path, repeats, rows):
    (tmp_path / "short.txt").write_text("to be or not\n" * repeats)
    short = replace(config, data=replace(config.data, sources=(TextFiles(tmp_path / "short.txt"),)))
    said = []
    train_recipe(recipe_of(short), run_dir=tmp_path / "short", say=said.append)
    words = (
        f"the training text makes {rows}, fewer than train.batch_size=8: each step sees some more than once. Give more text, or "
        "lower train.batch_size or data.seq_len=16"
    )
    assert words in "\n".join(said)
    assert jaxlm.load(tmp_path / "short").step == 2


def test_too_little_text_to_hold_any_out_ends_before_the_run(config, tmp_path):
    (tmp_path / "short.txt").write_text("a")
    short = replace(config, data=replace(config.data, sources=(TextFiles(tmp_path / "short.txt"),)))
    with pytest.raises(RunError, match=r"^Source 'short' has 1 characters, too few to hold out 10% of them\. Give more text"):
        train_recipe(recipe_of(short), run_dir=tmp_path / "short", say=lambda line: None)
    assert not (tmp_path / "short" / "checkpoints").exists()


def test_text_whose_store_stands_is_not_read_again(config, place, monkeypatch):
    store = store_for(text_of(config), Bytes().train(list), say=lambda line: None)
    monkeypatch.setattr(TextFiles, "documents", lambda self: pytest.fail("it was read"))
    assert store_for(text_of(config), Bytes().train(list), say=lambda line: None) == store


def test_a_shard_that_was_altered_ends_the_start_and_leaves_the_run(config, place, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLM_CACHE", str(tmp_path / "cache"))
    run = jaxlm.fit(config, tmp_path / "run")
    shard = Path(saved_data(run.dir)["store"]) / "0.train.text" / "0.text.tokens.00000"
    shard.write_bytes(shard.read_bytes()[:-2] + b"ab")
    longer = replace(config, train=replace(config.train, steps=3))
    with pytest.raises(RunError, match=rf"^token store: {shard}, block 0 .* is not what was written; delete the folder"):
        jaxlm.fit(longer, tmp_path / "run")
    assert jaxlm.load(tmp_path / "run").step == 2
    shutil.rmtree(shard.parents[1])
    assert jaxlm.fit(longer, tmp_path / "run").step == 3


def test_a_run_that_goes_on_does_not_write_over_what_it_goes_on_by(config, tmp_path, monkeypatch):
    run = jaxlm.fit(config, tmp_path / "run")
    kept = [run.dir / "data.json", *(run.dir / "tokenizer").iterdir()]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in kept[1:]]
    data, write_bytes = kept[0].read_bytes(), Path.write_bytes

    def on_a_full_disk(path, content):
        if "data.json" in path.name:
            write_bytes(path, b"")
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", on_a_full_disk)
    with pytest.raises(RunError, match=r"/run cannot be written: No space left on device\. .* the checkpoints stand$"):
        jaxlm.fit(replace(config, train=replace(config.train, steps=3)), tmp_path / "run")
    assert kept[0].read_bytes() == data
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in kept[1:]] == before


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_that_no_generator_takes(seed):
    with pytest.raises(ConfigError, match=rf"train.seed={seed} must be at least 0 and below 2\*\*63"):
        TrainConfig(seed=seed)
    with pytest.raises(ConfigError, match=rf"--seed={seed} must be at least 0"):
        Continuation(seed=seed)


@pytest.mark.parametrize("step", [0, 3])
def test_data_show_knows_the_runs_steps(first, step):
    with pytest.raises(ConfigError) as error:
        trained_row(first.dir, step, 0)
    assert str(error.value) == f"--step {step} is outside the run: train.steps=2, so steps are 1 to 2"


def test_a_start_tells_shares_and_how_full_rows_are_and_a_vocabulary_that_shrank(config, place):
    sources = tuple(TextFiles(place / f"{name}.txt") for name in ("text", "more"))
    (place / "more.txt").write_text("".join(f"more {i} and {i % 11} of it\n" for i in range(200)))
    mixed = replace(
        config,
        data=replace(config.data, sources=sources, weights=(3.0, 1.0), packing="documents"),
        tokenizer=SentencePiece(vocab_size=9000),
    )
    said = []
    train_recipe(recipe_of(mixed), run_dir=place / "mixed", say=said.append)
    text = "\n".join(said)
    assert "rows of text: " in text
    assert "75.00% of the training rows" in text
    assert "% of their places are empty" in text
    assert "(tokenizer.vocab_size=9,000 asks for more than the text supports)" in text


def test_the_next_commands_of_a_run_with_classes_of_its_own_bear_trust(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "from dataclasses import dataclass, replace\n"
        "from pathlib import Path\n"
        "import jaxlm\n"
        "from jaxlm.objectives import CausalLM\n"
        "from jaxlm.run.saved import read_config\n\n\n"
        "@dataclass(frozen=True)\nclass Mine(CausalLM):\n    pass\n\n\n"
        "def config(*, of: Path):\n    return replace(read_config(of), objective=Mine())\n"
    )
    said = []
    first = jaxlm.fit(config, tmp_path / "plain")
    train_recipe(load_recipe("own.py", ["--of", str(first.dir / "config.json")]), run_dir=tmp_path / "own", say=said.append)
    store = open_store(Path(json.loads((first.dir / "data.json").read_text())["store"]))
    held_out = first_words(store, first.tokenizer, 2)
    assert len(held_out) == 2
    assert said[-3:] == [
        f"  jaxlm generate own --prompt '{' '.join(held_out)}' --top 5",
        "  jaxlm data show own --step 1 --row 0 --trust",
        "  jaxlm train own --run-dir own-again --train.seed 1 --trust",
    ]
