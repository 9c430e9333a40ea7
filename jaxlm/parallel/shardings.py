"""Where each leaf of parameters and optimizer state lies."""

from math import prod
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import NamedSharding

from jaxlm.core import UserError
from jaxlm.parallel.rules import Partitioner


def is_box(x: Any) -> bool:
    return isinstance(x, nn.LogicallyPartitioned)


def axis_names(boxed: Any) -> Any:
    """The tree of logical axis names, a tuple a leaf.

    Raises:
      UserError: a parameter has no names; it says which.
    """
    unnamed = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(boxed, is_leaf=is_box)
        if not is_box(leaf) or len(leaf.names) != leaf.value.ndim
    ]
    if unnamed:
        raise UserError(
            f"the parameter {unnamed[0]} does not name each of its axes; make it with jaxlm.models.layers.base.param, "
            "or wrap its initializer in flax.linen.with_logical_partitioning"
        )
    return jax.tree.map(lambda box: tuple(box.names), boxed, is_leaf=is_box)


def param_shardings(boxed: Any, partitioner: Partitioner) -> Any:
    """A NamedSharding a leaf, by the rules; `boxed` may be abstract."""
    axes = axis_names(boxed)
    values = nn.unbox(boxed)
    return jax.tree.map(lambda value, names: partitioner.sharding(names, value.shape), values, axes)


def device_bytes(array: Any) -> int:
    """What each device holds of an array, or of one that is yet to be (`jax.ShapeDtypeStruct` with its sharding)."""
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        return 8
    return int(prod(array.sharding.shard_shape(array.shape))) * int(array.dtype.itemsize)


def like_params(tree: Any, params: Any, shardings: Any, otherwise: NamedSharding) -> Any:
    """Shardings of an optimizer state: a leaf whose path ends in a parameter's and has its shape lies as that one does;
    all else as `otherwise`. Fits any Optax state."""
    flat = {
        tuple(map(str, path)): (value.shape, sharding)
        for (path, value), sharding in zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(shardings), strict=True)
    }

    def pick(path: Any, leaf: Any) -> NamedSharding:
        keys = tuple(map(str, path))
        for i in range(len(keys)):
            shape, sharding = flat.get(keys[i:], (None, None))
            if shape == leaf.shape:
                return sharding
        return otherwise

    return jax.tree_util.tree_map_with_path(pick, tree)
