"""The one table from logical axis names to mesh axes, and what follows from it."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxlm.core.errors import UserError, nearest

RULES: Mapping[str, tuple[str, ...]] = {
    # activations
    "batch": ("data", "fsdp"),
    "length": (),
    "features": (),
    # parameters; heads, kv_heads and mlp are those of activations too
    "vocab": ("tensor",),
    "embed": ("fsdp",),
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "head_dim": (),
    "mlp": ("tensor",),
    "positions": (),
    "layers": (),
}


def partition_spec(names: tuple[str | None, ...], shape: tuple[int, ...], mesh: Mesh) -> P:
    """How an array of these logical names and this shape lies on the mesh.

    A mesh axis is used by one dim at most, the first that asks; a dim that its axes do not divide is not cut.

    Raises:
      UserError: a name is not in the table.
    """
    used: set[str] = set()
    spec: list[Any] = []
    for name, size in zip(names, shape, strict=True):
        if name is not None and name not in RULES:
            raise UserError(f"the logical axis {name!r} of an array of shape {shape} is in no sharding rule.{nearest(name, RULES)}")
        axes = tuple(a for a in RULES[name] if a not in used and mesh.shape[a] > 1) if name is not None else ()
        if not axes or size % prod(mesh.shape[a] for a in axes):
            spec.append(None)
        else:
            used.update(axes)
            spec.append(axes if len(axes) > 1 else axes[0])
    return P(*spec)


def resolver(mesh: Mesh) -> Callable[[Any, tuple[str | None, ...]], Any]:
    """What `core.sharding.constraints` takes: constrains an activation by the rules. On one device it only checks names."""

    def resolve(x: Any, names: tuple[str | None, ...]) -> Any:
        spec = partition_spec(names, x.shape, mesh)
        return x if mesh.size == 1 else jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec))

    return resolve


def batch_shards(mesh: Mesh) -> int:
    """Parts into which a batch's rows are cut."""
    return prod(mesh.shape[axis] for axis in RULES["batch"])
