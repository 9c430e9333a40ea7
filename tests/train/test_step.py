"""What a step divides by, and which rows a microbatch takes."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import Sums
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.state import init_state, layout, merge
from jaxlm.train.step import denominators, microbatches, total_loss, train_step


@dataclass(frozen=True)
class MeanOfMeans(CausalLM):
    """The field's commonest fault, planted: each part of a batch is divided by its own weight."""

    def weights(self, batch):
        return {"tokens": jnp.float32(1)}

    def loss(self, model, params, batch, rng):
        sums = super().loss(model, params, batch, rng)
        parts = 1 if batch["tokens"].shape[0] == 16 else 4
        return sums._replace(terms={"tokens": sums.terms["tokens"] / batch["weights"].sum() / parts})


def loss_of_a_step(objective, num_microbatches):
    model, partitioner = tiny.model("gpt2", num_layers=1), Partitioner.of(MeshConfig(), jax.devices()[:1])
    plan = layout(model, AdamW(steps=1), partitioner)
    batch = tiny.batch(CausalLM(), 16, first=16)
    update = partial(train_step, model=model, objective=objective, optimizer=plan.transformation, num_microbatches=num_microbatches)
    state, sums = jax.jit(update)(init_state(model, plan, 0, partitioner)._replace(params=tiny.params(model)), batch)
    return float(sums.metrics["loss"][0]), state.params


def test_a_planted_mean_of_means_is_seen_through_the_step():
    (one, params), (four, same_params) = (loss_of_a_step(CausalLM(), n) for n in (1, 4))
    assert four == pytest.approx(one, rel=1e-5)
    wrong, _ = loss_of_a_step(MeanOfMeans(), 4)
    assert abs(wrong / one - 1) > 1e-3
    assert loss_of_a_step(MeanOfMeans(), 1)[0] == pytest.approx(one, rel=1e-5)
    far = max(float(np.abs(a - b).max()) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(same_params), strict=True))
    assert far < 1e-4


def test_a_microbatch_takes_every_nth_row():
    rows = np.arange(12).reshape(12, 1)
    parts = np.asarray(microbatches(jnp.asarray(rows), 3))
    assert parts[..., 0].tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


def test_router_terms_are_divided_by_the_rows_that_hold_a_token():
    batch = tiny.batch(CausalLM(), 3, padded=8)
    weights, rows = denominators(CausalLM(), batch)
    assert float(rows) == 3
    sums = Sums({"tokens": jnp.float32(10)}, {"router": jnp.float32(6)}, {}, {})
    assert float(total_loss(sums, weights, rows)) == pytest.approx(10 / batch["weights"].sum() + 2)


def test_a_weight_of_0_counts_as_1():
    weights, rows = denominators(CausalLM(), tiny.batch(CausalLM(), 0, padded=2))
    assert (float(weights["tokens"]), float(rows)) == (1, 1)


def test_terms_that_are_not_weighed_are_named():
    with pytest.raises(AssertionError, match=r"loss has terms \['a'\] and its weights \['b'\]; they must be the same"):
        total_loss(Sums({"a": jnp.ones(())}, {}, {}, {}), {"b": jnp.ones(())}, jnp.ones(()))


def test_frozen_parameters_fill_in_what_is_not_trained():
    assert merge({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3}) == {"a": {"x": 1, "y": 2}, "b": 3}
    assert merge({"a": {"x": 1}}, {}) == {"a": {"x": 1}}
