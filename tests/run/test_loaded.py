"""`jaxlm.fit` and `jaxlm.load`: what comes back, what goes on, what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxlm
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.run.runs import find_runs
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("loaded")


@pytest.fixture(scope="module")
def config(place) -> RunConfig:
    (place / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=16),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(place / "text.txt"),), seq_len=16),
        train=TrainConfig(steps=4, batch_size=8),
        checkpoint=CheckpointConfig(every=2),
        log=LogConfig(every=1, tensorboard=False, progress=False),
    )


@pytest.fixture(scope="module")
def run(config, place):
    kept = {}
    copy = lambda step, state, metrics: kept.update({step: jax.tree.map(np.array, state.params)})
    return jaxlm.fit(config, place / "run", hooks=[copy]), kept


def test_what_fit_returns(run, place):
    loaded, kept = run
    assert (loaded.dir, loaded.step) == (place / "run", 4)
    assert loaded.summary["state"] == "finished"
    assert loaded.summary["train/resumed_from"] == 0
    assert loaded.model.embed.vocab_size == loaded.tokenizer.vocab.size
    jax.tree.map(np.testing.assert_array_equal, loaded.params, kept[4])
    assert len({float(np.abs(tree["embed"]["table"]).sum()) for tree in kept.values()}) == 4  # it did learn


@pytest.mark.parametrize("name", ["generate", "fill_mask", "fill_spans", "score", "embed"])
def test_what_is_no_text_is_refused(run, name):
    key = f"{name}: {'prompts' if name in ('generate', 'fill_mask', 'fill_spans') else 'texts'}"
    for given, what in {(3,): "number 0 is int 3", ("a", b"b"): "number 1 is bytes b'b'", None: "NoneType None was given"}.items():
        with pytest.raises(ConfigError) as error:
            getattr(run[0], name)(given)
        assert str(error.value) == f"{key}: {what}. Allowed: a str, or a list of them."


def test_settings_of_generate_are_checked(run):
    for settings, words in (
        ({"max_token": 3}, "generate.max_token: it has no 'max_token'. Did you mean 'max_tokens'?"),
        ({"max_tokens": "3"}, "generate: '<' not supported between instances of 'str' and 'int'"),
    ):
        with pytest.raises(ConfigError) as error:
            run[0].generate("a", **settings)
        assert str(error.value) == words


def test_what_the_objective_says_of_prompts_is_kept(run, place):
    assert not run[0].prefix
    copy = place / "prefix"
    shutil.copytree(run[0].dir, copy)
    node, data = (json.loads((copy / name).read_text()) for name in ("config.json", "data.json"))
    assert data.pop("reading") == {"prefix": False, "ends": ["bos", "eos"], "gaps": None}
    reading = {"prefix": True, "ends": ["cls", "sep"], "gaps": [[5], [7, 8]]}
    (copy / "config.json").write_text(json.dumps({**node, "objective": {"type": "recipe:Own"}}))
    (copy / "data.json").write_text(json.dumps({**data, "reading": reading}))
    loaded = jaxlm.load(copy)  # the recipe's own objective, not trusted
    assert (loaded.prefix, loaded.ends, loaded.gaps) == (True, ("cls", "sep"), ((5,), (7, 8)))
    (copy / "data.json").write_text(json.dumps(data))  # a run of before
    for objective, prefix, ends in [
        ("jaxlm.objectives.prefix:PrefixLM", True, ("bos", "eos")),
        ("jaxlm.objectives.sentences:SentenceOrder", False, ("cls", "sep")),
        ("recipe:Own", False, ("bos", "eos")),
    ]:
        (copy / "config.json").write_text(json.dumps({**node, "objective": {"type": objective}}))
        loaded = jaxlm.load(copy)
        assert (loaded.prefix, loaded.ends, loaded.gaps) == (prefix, ends, None)
    with pytest.raises(ConfigError, match=r"^fill_spans: the run did not learn to write what stands in gaps; use one with"):
        loaded.fill_spans("a [MASK]")


def test_what_is_no_config_or_hook_is_refused(config):
    with pytest.raises(ConfigError, match=r"^fit: config is int 3. Allowed: a RunConfig"):
        jaxlm.fit(3)
    for hooks in (3, [3], print):
        with pytest.raises(ConfigError, match=r"^fit: hooks is .*\. Allowed: several functions, each called with"):
            jaxlm.fit(config, hooks=hooks)


def test_it_is_found_among_runs(run, place):
    found = {each.name: each for each in find_runs(place)[0]}["run"]
    assert (found.model, found.objective, found.step, found.state) == ("causal 1x16", "CausalLM", 4, "finished")
    assert found.metrics["eval/loss"] == run[0].summary["eval/loss"]


def test_load_returns_the_same(run, place):
    loaded = jaxlm.load(place / "run")
    assert (loaded.dir, loaded.model, loaded.step, loaded.summary) == (run[0].dir, run[0].model, run[0].step, run[0].summary)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, run[0].params)
    (text,) = loaded.generate("line ", max_tokens=3, temperature=0)
    assert isinstance(text, str)


def test_a_finished_run_is_not_trained_again_and_goes_on_for_more_steps(run, config, place, capsys):
    seen = []
    hook = lambda step, state, metrics: seen.append((step, float(metrics["train/learning_rate"])))
    assert jaxlm.fit(config, place / "run", hooks=[hook]).step == 4
    assert "is finished: 4 steps" in capsys.readouterr().out
    assert seen == []
    more = jaxlm.fit(replace(config, train=replace(config.train, steps=6)), place / "more", hooks=[hook])
    rates = dict(seen)
    seen.clear()
    half = jaxlm.fit(replace(config, train=replace(config.train, steps=3)), place / "grown")
    assert half.step == 3
    grown = jaxlm.fit(replace(config, train=replace(config.train, steps=6)), place / "grown", hooks=[hook])
    assert [step for step, _ in seen] == [4, 5, 6]
    assert grown.summary["train/resumed_from"] == 3
    assert (grown.step, more.step) == (6, 6)
    assert dict(seen)[6] != rates[6]  # the schedule of three steps is over: more steps do not bend it
    assert dict(seen)[6] == pytest.approx(1e-4)


def test_other_text_is_another_run(run, config, place):
    (place / "other.txt").write_text("".join(f"verse {i}\n" for i in range(500)))
    other = replace(config, data=replace(config.data, sources=(TextFiles(place / "other.txt"),)))
    with pytest.raises(
        ConfigError, match=r"run holds another run: data\.sources\.0\.path.*: '.*text\.txt' there, '.*other\.txt' now"
    ):
        jaxlm.fit(other, place / "run")
    before = (place / "text.txt").read_text()
    (place / "text.txt").write_text(before + "one line more\n")
    try:
        with pytest.raises(ConfigError, match=r"run holds another run: data \(digest of its tokens\): '[0-9a-f]{12}' there, '"):
            jaxlm.fit(config, place / "run")
    finally:
        (place / "text.txt").write_text(before)


def test_without_a_folder_it_is_runs_run_then_run_2(config, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = replace(config, train=replace(config.train, steps=1))
    assert jaxlm.fit(short).dir == tmp_path / "runs/run"
    assert jaxlm.fit(short).dir == tmp_path / "runs/run"
    assert jaxlm.fit(replace(short, train=replace(short.train, seed=1))).dir == tmp_path / "runs/run-2"


def test_what_a_run_folder_holds(run, place):
    folder = place / "run"
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "metrics.jsonl", "summary.json", "tokenizer", "checkpoints"} <= names
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"2", "4"}
    assert json.loads((folder / "config.json").read_text())["optimizer"]["steps"] == 4


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^RUN: .*/nothing does not exist\. Give a folder that `jaxlm train` made"):
        jaxlm.load(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"^RUN: .* is no run folder \(it has no config\.json\)\."):
        jaxlm.load(tmp_path)


def test_a_run_without_a_checkpoint(run, tmp_path):
    (tmp_path / "config.json").write_text((run[0].dir / "config.json").read_text())
    with pytest.raises(RunError, match=r"has no checkpoint yet; train it first: jaxlm train .*config\.json$"):
        jaxlm.load(tmp_path)
