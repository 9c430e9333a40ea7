"""The arrays of a program's state, with what their dims are called and what cuts them."""

from typing import Any, NamedTuple

import jax

from jaxlm.core.trees import leaf_names
from jaxlm.train.program import Program


class Leaf(NamedTuple):
    """A parameter."""

    name: str
    axes: tuple[str, ...]
    array: jax.ShapeDtypeStruct


def parameters(program: Program) -> list[Leaf]:
    """Each with its name and the logical names of its dims."""
    arrays = leaf_names(program.layout.abstract.params)
    axes = jax.tree.leaves(program.layout.axes, is_leaf=lambda node: isinstance(node, tuple))
    return [Leaf(name, own, array) for (name, array), own in zip(arrays, axes, strict=True)]


def cut_by(sharding: Any) -> set[str]:
    """The axes of the mesh that cut an array which lies so (`NamedSharding`)."""
    spec = sharding.spec
    return {axis for part in spec if part is not None for axis in (part if isinstance(part, tuple) else (part,))}
