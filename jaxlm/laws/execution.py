"""The same loss and gradient however a step is computed: the very step that trains, with an optimizer that keeps the gradient."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlm.core import UserError
from jaxlm.core.sharding import constraints
from jaxlm.laws.subject import Subject, Verdict, spread
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.mesh import asked_sizes
from jaxlm.parallel.placement import place
from jaxlm.parallel.rules import Partitioner
from jaxlm.parallel.shardings import param_shardings
from jaxlm.train.state import TrainState, layout
from jaxlm.train.step import train_step

LOSS, GRADIENT = 1e-5, 1e-3
"""Relative bounds in float32: of the loss, and of the gradient's norm. Of a million ReLUs about one stands so near 0 that
another order of summing opens or closes it, which moves the gradient of all before it: by 4.5e-4 in `nano/t5`. Without one it
is 1e-6."""
MESHES = (MeshConfig(data=8), MeshConfig(data=2, fsdp=2, tensor=2))


class KeepGradient:
    """In an optimizer's place: its state is the gradient, its update nothing."""

    def build(self, axes: Any) -> optax.GradientTransformation:
        zeros = lambda params: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
        return optax.GradientTransformation(zeros, lambda gradient, state, params=None: (zeros(gradient), gradient))


def named_axes(subject: Subject) -> Iterator[Verdict]:
    """Each parameter names its axes, by names that the sharding rules know."""
    law = "each axis of a parameter has a name that the rules know"
    boxed = subject.model.abstract_params()
    try:
        param_shardings(boxed, Partitioner.of(MeshConfig(data=1), jax.devices()[:1]))
    except UserError as error:
        yield Verdict(law, False, str(error))
    else:
        yield Verdict(law, True, f"{len(jax.tree.leaves(nn.unbox(boxed)))} parameters")


def microbatches(subject: Subject) -> Iterator[Verdict]:
    """A batch in parts, and so its noise, is the batch."""
    yield from _compare("4 microbatches", subject, loss_and_gradient(subject, num_microbatches=4))


def layers(subject: Subject) -> Iterator[Verdict]:
    """What is computed again, and layers scanned or unrolled, change nothing."""
    model = subject.model
    remat = "none" if model.remat != "none" else "full"
    yield from _compare(f"remat {remat}", subject, loss_and_gradient(subject.computed(remat=remat)))
    how = "scanned layers" if model.unroll else "unrolled layers"
    yield from _compare(how, subject, loss_and_gradient(subject.computed(unroll=not model.unroll)))


def sharding(subject: Subject) -> Iterator[Verdict]:
    """Meshes of eight devices change nothing."""
    devices = jax.devices()
    for config in MESHES:
        axes = ", ".join(f"{name} {size}" for name, size in asked_sizes(config).items() if size > 1)
        if len(devices) < 8:
            yield Verdict.not_here(f"{axes}: the same loss and gradient", f"{len(devices)} of 8 devices")
        else:
            divided = loss_and_gradient(subject, partitioner=Partitioner.of(config, devices[:8]))
            yield from _compare(axes, subject, divided)


@lru_cache(maxsize=1)
def _plain(subject: Subject) -> tuple[Any, Any]:
    """What all others are compared with."""
    return loss_and_gradient(subject)


def loss_and_gradient(subject: Subject, *, partitioner: Partitioner | None = None, num_microbatches: int = 1) -> tuple[Any, Any]:
    """Of one training step, noise and all; on the host."""
    partitioner = partitioner or Partitioner.of(MeshConfig(data=1), jax.devices()[:1])
    plan = layout(subject.model, KeepGradient(), partitioner)
    params = jax.device_get(subject.params)
    zeros = jax.tree.map(np.zeros_like, params)
    state = TrainState(np.int32(0), np.uint32(0), params, {}, zeros, subject.noise)
    state = jax.device_put(state, plan.shardings)

    def step(state: TrainState, batch: Any) -> Any:
        with constraints(partitioner):
            return train_step(
                state,
                batch,
                model=subject.model,
                objective=subject.objective,
                optimizer=plan.transformation,
                num_microbatches=num_microbatches,
            )

    batch = place(subject.batch, partitioner=partitioner, num_rows=len(subject.batch["row"]))
    after, sums = jax.jit(step)(state, batch)
    return jax.device_get((sums.metrics["loss"][0], after.opt_state))


def _compare(how: str, subject: Subject, found: tuple[Any, Any]) -> Iterator[Verdict]:
    expected = _plain(subject)
    loss = abs(float(found[0] - expected[0])) / max(abs(float(expected[0])), 1e-30)
    gradient = spread(expected[1], found[1])
    holds = bool(loss <= LOSS and gradient <= GRADIENT)
    measured = f"loss {loss:.1e}, gradient {gradient:.1e}"
    yield Verdict(f"{how}: the same loss and gradient", holds, measured, f"{LOSS:.0e}, {GRADIENT:.0e}")
