"""One update: sums over microbatches and devices, divided once by weights known before the first gradient."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxlm.core import Sums
from jaxlm.core.sharding import constrain
from jaxlm.train.state import TrainState, merge

Array = Any
Batch = Mapping[str, Array]


def denominators(objective: Any, batch: Batch) -> tuple[dict[str, Array], Array]:
    """What terms and router terms are divided by: each term's weight, and the rows that hold a token; 0 counts as 1."""
    return {name: _or_one(weight) for name, weight in objective.weights(batch).items()}, _or_one(_rows_with_tokens(batch))


def total_loss(sums: Sums, weights: Mapping[str, Array], rows: Array) -> Array:
    """Sum over terms of numerator / denominator. `sums` may be those of a part of the batch: parts add up."""
    assert sums.terms.keys() == weights.keys(), (
        f"the objective's loss has terms {sorted(sums.terms)} and its weights {sorted(weights)}; they must be the same"
    )
    terms = [sums.terms[name] / weights[name] for name in sums.terms]
    return jnp.asarray(sum(terms + [value / rows for value in sums.aux.values()]))


def train_step(
    state: TrainState, batch: Batch, *, model: Any, objective: Any, optimizer: Any, num_microbatches: int
) -> tuple[TrainState, Sums]:
    """One update of the state.

    Args:
      batch: arrays [B, ...]; B is a multiple of num_microbatches x batch shards (padded with rows of weight 0).
      optimizer: an `optax.GradientTransformation`.

    Returns:
      The next state, and the batch's sums with "loss", "grad_norm" and the model's own losses among its metrics.
    """
    weights, rows = denominators(objective, batch)

    def loss(params: Any, part: Batch) -> tuple[Array, Sums]:
        sums = objective.loss(model, merge(params, state.frozen), part, state.rng)
        return total_loss(sums, weights, rows), sums

    part_gradient = jax.grad(loss, has_aux=True)
    if num_microbatches == 1:
        gradient, sums = part_gradient(state.params, batch)
    else:
        parts = jax.tree.map(lambda x: microbatches(x, num_microbatches), dict(batch))
        shapes = jax.eval_shape(part_gradient, state.params, jax.tree.map(lambda x: x[0], parts))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        (gradient, sums), _ = jax.lax.scan(
            lambda total, part: (jax.tree.map(jnp.add, total, part_gradient(state.params, part)), None), zeros, parts
        )
    with jax.named_scope("optimizer"):
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    state = state._replace(
        step=state.step + 1,
        position=state.position + (batch["row"] >= 0).sum().astype(jnp.uint32),
        params=optax.apply_updates(state.params, updates),
        opt_state=opt_state,
    )
    one = jnp.ones(())
    watched = {"loss": (total_loss(sums, weights, rows), one), "grad_norm": (optax.tree.norm(gradient), one)}
    watched |= {name: (value, rows) for name, value in sums.aux.items()}
    return state, sums._replace(metrics={**sums.metrics, **watched})


def eval_step(params: Any, batch: Batch, *, model: Any, objective: Any, rng: Array) -> tuple[Sums, dict[str, Array], Array]:
    """A batch's sums without noise, its weights and its rows with tokens, to be added up over batches before dividing."""
    return objective.loss(model.eval(), params, batch, rng), objective.weights(batch), _rows_with_tokens(batch)


def microbatches(x: Array, number: int) -> Array:
    """[B, ...] -> [number, B / number, ...], rows i, i + number, ... in part i: each device keeps rows that it has."""
    parts = x.reshape(x.shape[0] // number, number, *x.shape[1:]).swapaxes(0, 1)
    return constrain(parts, None, "batch", *[None] * (x.ndim - 1))


def _rows_with_tokens(batch: Batch) -> Array:
    return jnp.any(batch["segments"] > 0, axis=-1).sum().astype(jnp.float32)


def _or_one(weight: Array) -> Array:
    return jnp.where(weight == 0, 1.0, weight)
