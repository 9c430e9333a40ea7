"""The one table from logical axis names to mesh axes, and what follows from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxlm.core.errors import ConfigError, UserError, nearest
from jaxlm.parallel.config import MeshConfig, Rules
from jaxlm.parallel.mesh import AXES, make_mesh

RULES: Mapping[str, tuple[str, ...]] = {
    # activations
    "batch": ("dcn_data", "dcn_fsdp", "data", "fsdp", "expert"),
    "length": (),  # the place of an axis `context`, for parts of long texts, which is not there yet
    "features": (),
    # parameters; heads, kv_heads and mlp are those of activations too
    "vocab": ("tensor",),
    "embed": ("dcn_fsdp", "fsdp"),
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "head_dim": (),
    "mlp": ("tensor",),
    "experts": ("expert",),
    "positions": (),
    "layers": (),  # the place of an axis `stage`, for pipelines, which is not there yet
}


@dataclass(frozen=True)
class Partitioner:
    """Where arrays of named dims lie on a mesh. As what `core.sharding.constraints` takes it constrains activations; on one
    device it only checks their names."""

    mesh: Mesh
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: RULES)
    optimizer_rules: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: RULES)

    @classmethod
    def of(cls, config: MeshConfig, devices: Sequence[Any] | None = None) -> "Partitioner":
        """Over `devices` (default: all).

        Raises:
          ConfigError: the axes do not fit the devices, or a rule names what there is not.
        """
        rules = changed(RULES, "mesh.rules", config.rules)
        return cls(make_mesh(config, devices), rules, changed(rules, "mesh.optimizer_rules", config.optimizer_rules))

    @property
    def of_optimizer(self) -> "Partitioner":
        """That of optimizer state."""
        return replace(self, rules=self.optimizer_rules)

    @property
    def platform(self) -> str:
        """That of the devices: "cpu", "gpu" or "tpu", also where the mesh is another machine's."""
        return str(self.mesh.devices.flat[0].platform)

    @property
    def copied(self) -> NamedSharding:
        """Of an array that every device holds whole."""
        return NamedSharding(self.mesh, P())

    @property
    def batch_shards(self) -> int:
        """Parts into which a batch's rows are cut."""
        return self._size(self.rules["batch"])

    def spec(self, names: tuple[str | None, ...], shape: tuple[int, ...]) -> P:
        """How an array of these logical names and this shape lies on the mesh.

        A mesh axis is used by one dim at most, the first that asks; a dim that its axes do not divide is not cut, unless it
        counts experts: an axis is given for them alone.

        Raises:
          UserError: a name is not in the table, or `mesh.expert` does not divide the experts.
        """
        spec: list[Any] = []
        for name, size, (axes, divide) in zip(names, shape, self.asked(names, shape), strict=True):
            if name == "experts" and not divide:
                raise ConfigError(
                    f"mesh.expert={self.mesh.shape['expert']} does not divide the {size} experts of a layer; "
                    f"choose a divisor of {size}"
                )
            spec.append(None if not axes or not divide else axes if len(axes) > 1 else axes[0])
        return P(*spec)

    def asked(self, names: tuple[str | None, ...], shape: tuple[int, ...]) -> list[tuple[tuple[str, ...], bool]]:
        """For each dim its rule's axes, without those that cut a dim before it, and whether they divide it.

        Raises:
          UserError: a name is not in the table.
        """
        used: set[str] = set()
        asked = []
        for name, size in zip(names, shape, strict=True):
            if name is not None and name not in self.rules:
                raise UserError(
                    f"the logical axis {name!r} of an array of shape {shape} is in no sharding rule.{nearest(name, self.rules)}"
                )
            axes = tuple(a for a in self.rules[name] if a not in used and self.mesh.shape[a] > 1) if name is not None else ()
            divide = size % self._size(axes) == 0
            used.update(axes if divide else ())
            asked.append((axes, divide))
        return asked

    def require_used(self, names: set[str]) -> None:
        """Raises ConfigError where a rule is for a name that neither the table nor a parameter has.

        Args:
          names: those of the parameters' axes.
        """
        for name in (*self.rules, *self.optimizer_rules):
            if name not in RULES and name not in names:
                raise ConfigError(
                    f"mesh.rules: {name!r} is the name of no axis: no parameter of the model has it, and the table's own are "
                    f"{', '.join(RULES)}"
                )

    def _size(self, axes: Sequence[str]) -> int:
        return prod(self.mesh.shape[axis] for axis in axes)

    def sharding(self, names: tuple[str | None, ...], shape: tuple[int, ...]) -> NamedSharding:
        return NamedSharding(self.mesh, self.spec(names, shape))

    def rows(self, shape: tuple[int, ...]) -> NamedSharding:
        """Of an array whose first dim is the batch's rows."""
        return self.sharding(("batch", *[None] * (len(shape) - 1)), shape)

    def cuts(self, name: str) -> bool:
        return any(self.mesh.shape[axis] > 1 for axis in self.rules[name])

    def __call__(self, x: Any, names: tuple[str | None, ...]) -> Any:
        sharding = self.sharding(names, x.shape)
        return x if self.mesh.size == 1 else jax.lax.with_sharding_constraint(x, sharding)

    def within_shards(self, function: Callable[..., Any], rows: Sequence[Any], whole: Sequence[Any]) -> Any:
        if self.mesh.size == 1:
            return function(*rows, *whole)
        cut = self.spec(("batch",), rows[0].shape[:1])
        specs = (cut,) * len(rows) + (P(),) * len(whole)
        return jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=cut)(*rows, *whole)


def changed(rules: Mapping[str, tuple[str, ...]], key: str, changes: Rules) -> Mapping[str, tuple[str, ...]]:
    """`rules` with those of `changes` in their place, and new names beside them.

    Raises:
      ConfigError: a name is nearly one of the table; an axis is not of the mesh, or there twice.
    """
    for name, axes in changes:
        if name not in rules and "Did you mean" in (hint := nearest(name, rules)):  # others may be of the recipe's own layers
            raise ConfigError(f"{key}: {name!r} is not a logical name; they are {', '.join(rules)}.{hint}")
        for axis in axes:
            if axis not in AXES:
                raise ConfigError(
                    f"{key}: {axis!r}, for {name!r}, is not a mesh axis; they are {', '.join(AXES)}.{nearest(axis, AXES)}"
                )
        if len(set(axes)) < len(axes):
            raise ConfigError(f"{key}: {', '.join(axes)}, for {name!r}, has an axis twice; an axis cuts a dim once")
    return {**rules, **dict(changes)}
