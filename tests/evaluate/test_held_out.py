"""Loss over held-out text: one division over all of it, in bits where the text's bytes are known."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import tiny

from jaxlm.core import Sums
from jaxlm.evaluate import held_out_loss
from jaxlm.objectives import CausalLM, MaskedLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.state import layout

BATCHES, ROWS = 3, 6
PARTS = [
    SimpleNamespace(streams=("text",), stream_tokens={"text": 900}, num_documents=30, stream_bytes={"text": 2000}),
    SimpleNamespace(streams=("text",), stream_tokens={"text": 100}, num_documents=2, stream_bytes={"text": 500}),
]


def evaluator(objective, sizes=(1, 1, 1), model=None, batches=None, padded=ROWS):
    model = model or tiny.model(tiny.FAMILY_OF[type(objective)], num_layers=1)
    partitioner = Partitioner.of(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
    shardings = layout(model, AdamW(steps=1), partitioner).shardings.params
    batches = batches or (lambda: (tiny.batch(objective, 6 - 2 * k, first=6 * k, padded=padded) for k in range(BATCHES)))
    return model, held_out_loss(model, objective, partitioner, shardings, batches, padded, PARTS)


@pytest.fixture(scope="module", params=[CausalLM(), MaskedLM(mask_rate=0.4)], ids=["causal", "masked"])
def case(request):
    objective = request.param
    model, evaluate = evaluator(objective)
    params = tiny.params(model)
    return objective, model, params, evaluate(params)


def test_the_loss_is_one_mean_over_all_targets(case):
    objective, model, params, metrics = case
    nats, weights, means = 0.0, 0.0, []
    for k in range(BATCHES):
        batch = tiny.batch(objective, 6 - 2 * k, first=6 * k, padded=ROWS)
        sums = objective.loss(model, params, batch, jax.random.key(0))
        nats, weights = nats + float(sums.terms["tokens"]), weights + batch["weights"].sum()
        means.append(float(sums.terms["tokens"]) / batch["weights"].sum())
    assert metrics["eval/loss"] == pytest.approx(nats / weights, rel=1e-5)
    assert abs(np.mean(means) / (nats / weights) - 1) > 1e-3  # a mean of means would be seen


def test_bits_are_those_of_all_targets_over_all_bytes(case):
    objective, _, _, metrics = case
    if isinstance(objective, CausalLM):
        targets, name = 1000 - 32, "eval/bits_per_byte"  # all but each document's bos
    else:
        targets, name = 1000 - 64, "eval/bits_per_masked_byte"
        assert 0 <= metrics["eval/accuracy"] <= 1
    assert metrics[name] == pytest.approx(metrics["eval/loss"] / math.log(2) * targets / 2500, rel=1e-6)
    assert "eval/nll" not in metrics


def test_a_mesh_and_rows_of_padding_change_nothing(case):
    objective, _, params, metrics = case
    _, evaluate = evaluator(objective, (2, 2, 2), padded=8)
    assert evaluate(params) == pytest.approx(metrics, rel=1e-5)


def test_nothing_is_dropped():
    noisy = tiny.model("gpt2", num_layers=1, dropout=0.5)
    _, evaluate = evaluator(CausalLM(), model=noisy)
    params = tiny.params(noisy)
    quiet = evaluator(CausalLM(), model=tiny.model("gpt2", num_layers=1))[1]
    assert evaluate(params) == pytest.approx(quiet(params), rel=1e-6)


def test_an_error_of_the_text_is_raised_and_its_iterator_closed():
    closed = []

    class Broken:
        def __iter__(self):
            return self

        def __next__(self):
            raise OSError("the disk is gone")

        def close(self):
            closed.append(True)

    model, evaluate = evaluator(CausalLM(), batches=Broken)
    with pytest.raises(OSError, match="the disk is gone"):
        evaluate(tiny.params(model))
    assert closed == [True]


class Squared:
    """A loss that watches nothing."""

    def loss(self, model, params, batch, rng):
        nll, weights = self.nll(model, params, batch)
        return Sums.of(tokens=(nll**2, weights))


@dataclass(frozen=True)
class SquaredCausal(Squared, CausalLM):
    pass


@dataclass(frozen=True)
class SquaredMasked(Squared, MaskedLM):
    pass


@pytest.mark.parametrize(("own", "plain"), [(SquaredCausal(), CausalLM()), (SquaredMasked(mask_rate=0.4), MaskedLM(mask_rate=0.4))])
def test_bits_do_not_depend_on_what_a_loss_watches(own, plain):
    model = tiny.model(tiny.FAMILY_OF[type(plain)], num_layers=1)
    params = tiny.params(model)
    batches = lambda: iter([tiny.batch(plain, 6)])
    ours, theirs = (evaluator(objective, model=model, batches=batches)[1](params) for objective in (own, plain))
    name = f"eval/{plain.bits_name}"
    assert ours[name] == pytest.approx(theirs[name], rel=1e-6)
    assert ours["eval/loss"] != pytest.approx(theirs["eval/loss"])
