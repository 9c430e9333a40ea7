"""The mesh: devices in a grid whose axes have names."""

from collections.abc import Sequence
from itertools import product
from math import log, prod
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxlm.core import ConfigError
from jaxlm.parallel.config import MeshConfig

AXES = ("data", "fsdp", "tensor", "expert")


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh over `devices` (default: all), its -1 filled in; axes are Auto.

    Raises:
      ConfigError: the axes' product is not the number of devices; the message says which values would do.
    """
    devices = jax.devices() if devices is None else devices
    sizes = axis_sizes(config, len(devices))
    return Mesh(np.asarray(devices).reshape(sizes), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def axis_sizes(config: MeshConfig, num_devices: int) -> tuple[int, ...]:
    """The size of each axis, -1 filled in."""
    sizes = [getattr(config, axis) for axis in AXES]
    wrong = [axis for axis, size in zip(AXES, sizes, strict=True) if size < 1 and size != -1]
    if wrong:
        raise ConfigError(f"mesh.{wrong[0]}={getattr(config, wrong[0])} must be at least 1, or -1 for what is left")
    open_axes = [axis for axis, size in zip(AXES, sizes, strict=True) if size == -1]
    if len(open_axes) > 1:
        raise ConfigError(f"mesh.{open_axes[0]} and mesh.{open_axes[1]} are both -1; give all axes but one a number")
    fixed = prod(size for size in sizes if size != -1)
    given = _words(sizes)
    if num_devices % fixed or (not open_axes and fixed != num_devices):
        near = "; ".join(_words(would_do) for would_do in _nearest(sizes, num_devices)[:3])
        raise ConfigError(
            f"{given} need {fixed if not open_axes else f'a multiple of {fixed}'} devices and there are {num_devices}; "
            f"choose axes whose product is {num_devices}, such as {near}; or -1 for one of them"
        )
    return tuple(num_devices // fixed if size == -1 else size for size in sizes)


def _words(sizes: Sequence[int]) -> str:
    """Of all axes; of that of experts, which few models have, where it is asked for."""
    return ", ".join(f"mesh.{axis}={size}" for axis, size in zip(AXES, sizes, strict=True) if axis != "expert" or size != 1)


def _nearest(sizes: Sequence[int], num_devices: int) -> list[tuple[int, ...]]:
    """All sizes that would do, those that change the fewest of the given ones first, then by how much they change them."""
    divisors = [n for n in range(1, num_devices + 1) if num_devices % n == 0]
    choices = [[1] if axis == "expert" and size == 1 else divisors for axis, size in zip(AXES, sizes, strict=True)]
    would_do = [found for found in product(*choices) if prod(found) == num_devices]

    def changes(found: tuple[int, ...]) -> tuple[int, float]:
        pairs = [(size, new) for size, new in zip(sizes, found, strict=True) if size != -1]
        return sum(size != new for size, new in pairs), sum(abs(log(new / size)) for size, new in pairs)

    return sorted(would_do, key=changes)
