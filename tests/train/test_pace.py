"""Steps for a time: by the pace that is measured at the start, kept when the run goes on."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

import jaxlm
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import ConfigError
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.parallel.peers import Peers
from jaxlm.run import api
from jaxlm.run.api import train_recipe
from jaxlm.run.config import RunConfig
from jaxlm.run.recipe import recipe_of
from jaxlm.tokenizer import Bytes
from jaxlm.train import pace
from jaxlm.train.config import LogConfig, TrainConfig


@pytest.fixture
def config(tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=16),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(tmp_path / "text.txt"),), seq_len=16),
        train=TrainConfig(steps=50, batch_size=8, minutes=1.0),
        checkpoint=CheckpointConfig(every=None),
        log=LogConfig(every=1, tensorboard=False, progress=False),
    )


@pytest.fixture
def clock(monkeypatch):
    """Each look at it is `seconds` after the one before."""
    now = SimpleNamespace(seconds=0.0, each=0.0)

    def tick():
        now.seconds += now.each
        return now.seconds

    monkeypatch.setattr(pace.time, "perf_counter", tick)
    monkeypatch.setattr(pace, "init_state", lambda *args: None)
    monkeypatch.setattr(pace, "jitted_step", lambda run: lambda state, batch: (state, ()))
    monkeypatch.setattr(pace, "place", lambda rows, **kwargs: rows)
    return now


def run_of(steps):
    train = SimpleNamespace(steps=steps, seed=0)
    return SimpleNamespace(
        model=None, layout=None, train=train, partitioner=None, peers=Peers(), padded_size=1, batches=lambda start: iter(range(99))
    )


def test_steps_fill_the_time_that_compiling_leaves(clock):
    clock.each = 2.0  # compiling takes 2 s, then each step
    assert pace.steps_within(run_of(steps=10**6), minutes=1.0) == (60 - 2) / 2
    assert pace.steps_within(run_of(steps=20), minutes=1.0) == 20
    assert pace.steps_within(run_of(steps=10**6), minutes=0.01) == 1


def test_a_run_takes_the_steps_that_fit_and_keeps_them(config, tmp_path, monkeypatch):
    monkeypatch.setattr(api, "steps_within", lambda run, minutes: 3)
    said = []
    folder = train_recipe(recipe_of(config), run_dir=tmp_path / "run", say=said.append)
    assert "3 of 50 steps fit train.minutes=1 at this machine's pace" in said
    saved = json.loads(folder.config.read_text())
    assert (saved["train"]["steps"], saved["optimizer"]["steps"], folder.last_step()) == (3, 3, 3)
    monkeypatch.setattr(api, "steps_within", lambda run, minutes: pytest.fail("a run that goes on measures nothing"))
    train_recipe(recipe_of(config), run_dir=tmp_path / "run", say=said.append)
    assert said[-1].endswith(
        "is finished: 3 steps. Raise --train.steps, with --train.minutes None, to go on, or give another --run-dir"
    )
    more = replace(config, train=replace(config.train, steps=5, minutes=None))
    train_recipe(recipe_of(more), run_dir=tmp_path / "run", say=said.append)
    assert folder.last_step() == 5


def test_a_real_run_that_fits_by_far_takes_all_its_steps(config, tmp_path):
    run = jaxlm.fit(replace(config, train=replace(config.train, steps=4, minutes=60.0)), tmp_path / "run")
    assert run.step == 4


def test_no_time_is_no_time():
    with pytest.raises(ConfigError, match=r"train.minutes=0.0 must be above 0, or None"):
        TrainConfig(minutes=0.0)
