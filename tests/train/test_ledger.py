"""The pace: from the end of the first step, without what a pause takes."""

from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from jaxlm.core import RunError, Sums
from jaxlm.train import ledger as module
from jaxlm.train.ledger import Ledger

TOKENS, FLOPS, PEAK = 8 * 16, 3.0, 1000.0


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now.seconds)
    monkeypatch.setattr(module, "peak_flops", lambda devices: PEAK)
    return now


@pytest.fixture
def ledger(clock):
    return Ledger(
        SimpleNamespace(
            train=SimpleNamespace(batch_size=8),
            lengths=(12, 4),
            model=SimpleNamespace(flops_per_token=lambda seq_len, encoder_length: FLOPS),
            partitioner=SimpleNamespace(mesh=SimpleNamespace(devices=SimpleNamespace(flat=[]))),
            optimizer=SimpleNamespace(rate=lambda step: 0.1),
        ),
        last_saved=0,
    )


SUMS = Sums({}, {}, {}, {"loss": (jnp.float32(6), jnp.float32(2)), "grad_norm": (jnp.ones(()), jnp.ones(()))})


def test_the_first_step_starts_the_clock_however_late_it_is_read(clock, ledger):
    """A CPU's dispatch of the next step may return when that step is done: after a resume, the line that is due then told
    a million tokens a second."""
    clock.seconds = 100.0
    ledger.hold(188, SUMS)
    clock.seconds = 102.0  # the next step was dispatched meanwhile, and is over
    assert "perf/tokens_per_s" not in ledger.read()
    ledger.hold(189, SUMS)
    metrics = ledger.read()
    assert metrics["train/loss"] == 3
    assert metrics["perf/tokens_per_s"] == pytest.approx(TOKENS / 2)
    assert metrics["perf/mfu"] == pytest.approx(TOKENS / 2 * FLOPS / PEAK)


def test_a_step_is_checked_before_any_line_is_due(ledger):
    ledger.hold(7, SUMS._replace(metrics={**SUMS.metrics, "loss": (jnp.float32(jnp.nan), jnp.ones(()))}))
    with pytest.raises(RunError, match=r"train/loss is nan at step 7; no checkpoint was written"):
        ledger.settle()


def test_a_pause_does_not_count(clock, ledger):
    ledger.hold(1, SUMS)
    ledger.read()
    clock.seconds = 1.0
    with ledger.pause():
        clock.seconds = 51.0
    clock.seconds = 52.0
    ledger.hold(3, SUMS)
    assert ledger.read()["perf/tokens_per_s"] == pytest.approx(2 * TOKENS / 2)
    assert ledger.totals() == {"train/seconds": 52.0}


def test_what_a_batch_holds_none_of_is_not_told(ledger):
    ledger.hold(1, SUMS._replace(metrics={**SUMS.metrics, "pair_accuracy": (jnp.zeros(()), jnp.zeros(()))}))
    assert ledger.read().keys() >= {"train/loss", "train/grad_norm"}
    assert "train/pair_accuracy" not in ledger.read()
