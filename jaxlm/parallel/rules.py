"""The one table from logical axis names to mesh axes, and what follows from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxlm.core.errors import ConfigError, UserError, nearest

RULES: Mapping[str, tuple[str, ...]] = {
    # activations
    "batch": ("data", "fsdp", "expert"),
    "length": (),
    "features": (),
    # parameters; heads, kv_heads and mlp are those of activations too
    "vocab": ("tensor",),
    "embed": ("fsdp",),
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "head_dim": (),
    "mlp": ("tensor",),
    "experts": ("expert",),
    "positions": (),
    "layers": (),
}


def partition_spec(names: tuple[str | None, ...], shape: tuple[int, ...], mesh: Mesh) -> P:
    """How an array of these logical names and this shape lies on the mesh.

    A mesh axis is used by one dim at most, the first that asks; a dim that its axes do not divide is not cut, unless it
    counts experts: an axis is given for them alone.

    Raises:
      UserError: a name is not in the table, or `mesh.expert` does not divide the experts.
    """
    used: set[str] = set()
    spec: list[Any] = []
    for name, size in zip(names, shape, strict=True):
        if name is not None and name not in RULES:
            raise UserError(f"the logical axis {name!r} of an array of shape {shape} is in no sharding rule.{nearest(name, RULES)}")
        axes = tuple(a for a in RULES[name] if a not in used and mesh.shape[a] > 1) if name is not None else ()
        divides = size % prod(mesh.shape[a] for a in axes) == 0
        if name == "experts" and not divides:
            raise ConfigError(
                f"mesh.expert={mesh.shape['expert']} does not divide the {size} experts of a layer; choose a divisor of {size}"
            )
        if not axes or not divides:
            spec.append(None)
        else:
            used.update(axes)
            spec.append(axes if len(axes) > 1 else axes[0])
    return P(*spec)


@dataclass(frozen=True)
class OnMesh:
    """What `core.sharding.constraints` takes: names of activations by the rules. On one device it only checks names."""

    mesh: Mesh

    def __call__(self, x: Any, names: tuple[str | None, ...]) -> Any:
        spec = partition_spec(names, x.shape, self.mesh)
        return x if self.mesh.size == 1 else jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))

    def within_shards(self, function: Callable[..., Any], rows: Sequence[Any], whole: Sequence[Any]) -> Any:
        if self.mesh.size == 1:
            return function(*rows, *whole)
        cut = partition_spec(("batch",), rows[0].shape[:1], self.mesh)
        specs = (cut,) * len(rows) + (P(),) * len(whole)
        return jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=cut)(*rows, *whole)


def resolver(mesh: Mesh) -> OnMesh:
    return OnMesh(mesh)


def batch_shards(mesh: Mesh) -> int:
    """Parts into which a batch's rows are cut."""
    return prod(mesh.shape[axis] for axis in RULES["batch"])
