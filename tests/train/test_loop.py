"""The loop on a run that is assembled by hand: lines, hooks, numbers that are not finite."""

import json
import signal
from dataclasses import dataclass, replace

import jax.numpy as jnp
import pytest

import jaxlm
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import RunError
from jaxlm.core.errors import Stopped
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.assemble import Materials, assemble
from jaxlm.run.config import RunConfig, with_schedule_length
from jaxlm.run.text import store_for, text_of, tokenizer_for
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig
from jaxlm.train.log import MetricsFile
from jaxlm.train.loop import train


@pytest.fixture
def config(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {i} of {i * i} says {i % 7}\n" for i in range(300)))
    return RunConfig(
        model=gpt2(num_layers=1, embed_dim=16, num_heads=2, context=16),
        objective=CausalLM(),
        optimizer=AdamW(),
        tokenizer=Bytes(),
        data=DataConfig(sources=(TextFiles(text),), seq_len=16),
        train=TrainConfig(steps=7, batch_size=5, eval_every=4),
        mesh=MeshConfig(data=8),
        checkpoint=CheckpointConfig(every=2, keep=5),
        log=LogConfig(every=3, tensorboard=False, progress=False),
    )


def test_lines_come_every_third_step_at_evaluations_and_last(config, tmp_path):
    seen = []
    run = jaxlm.fit(
        config, tmp_path / "run", hooks=[lambda step, state, metrics: seen.append((step, int(state.step), metrics["train/loss"]))]
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 4, 6, 7]
    assert [line["step"] for line in lines if "eval/loss" in line] == [4, 7]
    assert seen == [(line["step"], line["step"], line["train/loss"]) for line in lines]
    assert [line["data/position"] for line in lines] == [15, 20, 30, 35]
    assert run.summary["eval/loss"] == lines[-1]["eval/loss"]
    assert run.summary["state"] == "finished"
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir() if p.name.isdecimal()) == ["2", "4", "6", "7"]


@dataclass(frozen=True)
class Breaks(CausalLM):
    """Causal until the example at position 20, which is no number."""

    def loss(self, model, params, batch, rng):
        sums = super().loss(model, params, batch, rng)
        broken = jnp.where((batch["row"] >= 20).any(), jnp.nan, 0.0)
        return sums._replace(terms={"tokens": sums.terms["tokens"] + broken})


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(config, tmp_path):
    broken = replace(config, objective=Breaks(), train=replace(config.train, eval_every=None))
    run = _assembled(broken, tmp_path)
    with pytest.raises(
        RunError, match=r"train/loss is nan at step 5; the checkpoint of step 4 stands. Lower optimizer.learning_rate"
    ):
        train(run)
    kept = sorted(p.name for p in (tmp_path / "broken" / "checkpoints").iterdir() if p.name.isdecimal())
    assert kept == ["2", "4"]
    assert RunError.exit_code == 1


def _assembled(config, tmp_path):
    text = text_of(replace(config, objective=CausalLM()))
    tokenizer = tokenizer_for(config.tokenizer, text, say=lambda line: None)
    materials = Materials(tokenizer, store_for(text, tokenizer, say=lambda line: None))
    (tmp_path / "broken").mkdir()
    return assemble(with_schedule_length(config), materials, tmp_path / "broken")


def test_a_signal_that_comes_after_a_step_is_closed_is_obeyed_with_the_next_and_that_one_is_saved(config, tmp_path):
    def stop(step, state, metrics):
        signal.raise_signal(signal.SIGTERM)

    config = replace(config, checkpoint=CheckpointConfig(every=None))
    with pytest.raises(Stopped, match="stopped by SIGTERM after step 4; the state is saved in"):
        jaxlm.fit(config, tmp_path / "run", hooks=[stop])
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir() if p.name.isdecimal()] == ["4"]


def test_a_metrics_file_drops_what_will_come_again_and_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": 1}\n{"step": 2, "a": 2}\n{"step": 3, "a": 3}\n{"step": 4, "a"')
    log = MetricsFile(path, resumed_step=2)
    log.write(3, {"a": 33})
    log.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "a": 1},
        {"step": 2, "a": 2},
        {"step": 3, "a": 33},
    ]
