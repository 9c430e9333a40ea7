"""A model and its objective can learn: one small batch by heart."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlm.laws.subject import Subject, Verdict, shortened, stack
from jaxlm.train.state import TrainState
from jaxlm.train.step import train_step

STEPS, LENGTH = 300, 32


def overfit(subject: Subject) -> Iterator[Verdict]:
    """The loss of one batch, trained on without noise, comes under half of what it was."""
    rows = [{**subject.example(i, windows), "row": np.array(i, np.int32)} for i, windows in enumerate(_short(subject))]
    batch = stack(rows)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.linear_schedule(0, 3e-3, 20)))

    @jax.jit
    def step(state: TrainState) -> Any:
        return train_step(
            state, batch, model=subject.model.eval(), objective=subject.objective, optimizer=optimizer, num_microbatches=1
        )

    params = subject.initial_params
    zero = jnp.zeros((), jnp.int32)
    state = TrainState(zero, zero.astype(jnp.uint32), params, {}, optimizer.init(params), subject.noise)
    losses: list[float] = []
    while len(losses) < STEPS and not (losses and losses[-1] < losses[0] / 2):
        state, sums = step(state)
        losses.append(float(sums.metrics["loss"][0]))
    holds = bool(np.isfinite(losses).all() and losses[-1] < losses[0] / 2)
    measured = f"loss {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps"
    yield Verdict("one batch can be learnt by heart", holds, measured, f"half in {STEPS} steps")


def _short(subject: Subject) -> Iterator[Any]:
    """Four rows of few tokens."""
    for first, *others in subject.windows[:4]:
        yield shortened(first, LENGTH), *others
