"""All that a step changes, and how it begins."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from jaxlm.core.noise import device_key
from jaxlm.core.sharding import constraints
from jaxlm.parallel.rules import Partitioner
from jaxlm.parallel.shardings import axis_names, like_params, param_shardings

Array = Any


class TrainState(NamedTuple):
    """The value that steps pass on; a pytree."""

    step: Array
    """Updates made, int32."""
    position: Array
    """The number of the next example in the run's data, uint32; padding rows do not count."""
    params: Any
    frozen: Any
    """Parameters without gradient and optimizer state, of the same nesting; {} where all are trained."""
    opt_state: Any
    rng: Array
    """Key of the run's device noise; rows fold their position into it, so it never changes."""


def merge(params: Any, frozen: Any) -> Any:
    """Trained and frozen parameters as the one tree that the model takes."""
    if not isinstance(params, dict) or not isinstance(frozen, dict):
        return params
    return {**frozen, **{name: merge(value, frozen[name]) if name in frozen else value for name, value in params.items()}}


class Layout(NamedTuple):
    """What is known of a state before it exists: axis names of the parameters, shapes and shardings of everything."""

    axes: Any
    abstract: TrainState
    """`jax.ShapeDtypeStruct` leaves with their shardings: what a checkpoint is restored into."""
    transformation: Any
    """The optimizer, built."""

    @property
    def shardings(self) -> TrainState:
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract)


def layout(model: Any, optimizer: Any, partitioner: Partitioner) -> Layout:
    """Derives the whole layout from abstract shapes; nothing is computed. Raises ConfigError for a rule that no axis needs."""
    boxed = model.abstract_params()
    axes = axis_names(boxed)
    partitioner.require_used({name for names in jax.tree.leaves(axes, is_leaf=lambda x: isinstance(x, tuple)) for name in names})
    transformation = optimizer.build(axes)
    shardings = param_shardings(boxed, partitioner)
    copied = partitioner.copied
    params = nn.unbox(boxed)
    opt_state = jax.eval_shape(transformation.init, params)
    abstract = TrainState(
        step=jax.ShapeDtypeStruct((), jnp.int32, sharding=copied),
        position=jax.ShapeDtypeStruct((), jnp.uint32, sharding=copied),
        params=_abstract(params, shardings),
        frozen={},
        opt_state=_abstract(opt_state, like_params(opt_state, params, param_shardings(boxed, partitioner.of_optimizer), copied)),
        rng=_abstract(jax.eval_shape(lambda: jax.random.key(0)), copied),
    )
    return Layout(axes, abstract, transformation)


def init_state(model: Any, plan: Layout, seed: int, partitioner: Partitioner) -> TrainState:
    """Fresh parameters and optimizer state, made where they lie; the same numbers on every mesh."""

    def init() -> TrainState:
        with constraints(partitioner):
            params = nn.unbox(model.init(device_key(seed, "init")))
        zero = jnp.zeros((), jnp.int32)
        return TrainState(zero, zero.astype(jnp.uint32), params, {}, plan.transformation.init(params), device_key(seed, "noise"))

    return jax.jit(init, out_shardings=plan.shardings)()


def restart(state: TrainState, params: Any, plan: Layout) -> TrainState:
    """`state` with other parameters and an optimizer that knows nothing: a new run from old weights."""
    opt_state = jax.jit(plan.transformation.init, out_shardings=plan.shardings.opt_state)(params)
    return state._replace(params=params, opt_state=opt_state)


def _abstract(tree: Any, shardings: Any) -> Any:
    if not isinstance(shardings, NamedSharding):
        return jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), tree, shardings)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=shardings), tree)
