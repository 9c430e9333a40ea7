"""The mesh: devices in a grid whose axes have names."""

from collections.abc import Iterator, Sequence
from math import log, prod
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from jaxlm.core import ConfigError
from jaxlm.parallel.config import MeshConfig

AXES = ("dcn_data", "dcn_fsdp", "data", "fsdp", "expert", "tensor")
"""Outermost first: neighbours in the last talk most, those of the first over the slower network."""
SLOW = tuple(axis for axis in AXES if axis.startswith("dcn_"))
COMMON = ("data", "fsdp", "tensor")
"""Those that messages always name; the others where they are asked for."""


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh over `devices` (default: all), its -1 filled in; axes are Auto.

    Raises:
      ConfigError: the axes' product is not the number of devices; the message says which values would do. Or the slower
        network joins other numbers of devices than its axes say.
    """
    devices = devices_here() if devices is None else devices
    sizes = axis_sizes(config, len(devices))
    return Mesh(_grid(sizes, devices), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def devices_here() -> list[Any]:
    """All devices of the run.

    Raises:
      ConfigError: JAX_PLATFORMS names a kind that is not here. Without it jax takes the CPU then.
    """
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked, (said, *_) = jax.config.values["jax_platforms"], (str(error) or "none is found").splitlines()
        raise ConfigError(
            f"JAX_PLATFORMS={asked}: no such device can be used here: {said.rstrip('.')}. "
            "Look that the machine has one and that jax's part for it is installed (pip install 'jaxlm[gpu]' or 'jaxlm[tpu]'); "
            "JAX_PLATFORMS=cpu takes the CPU"
        ) from error


def _grid(sizes: dict[str, int], devices: Sequence[Any]) -> np.ndarray:
    """Devices so laid out that neighbours on the inner axes are near each other. On a CPU all are as near: in their order."""
    shape = tuple(sizes.values())
    if devices[0].platform == "cpu":
        return np.asarray(devices).reshape(shape)
    if prod(sizes[axis] for axis in SLOW) == 1:
        return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)  # 8 of a torus of 4 x 4 x 4
    slices = {getattr(device, "slice_index", None) for device in devices}
    by_process = len(slices) == 1  # hosts of one slice, or of GPUs: the network joins processes
    if by_process:
        slices = {device.process_index for device in devices}
    outer = prod(sizes[axis] for axis in SLOW)
    if len(slices) != outer:
        raise ConfigError(
            f"{told(sizes, SLOW)} ask for {outer} slices and there are {len(slices)} {'processes' if by_process else 'slices'}; "
            f"set their product to {len(slices)}, or to 1"
        )
    within = tuple(1 if axis in SLOW else size for axis, size in sizes.items())
    between = tuple(size if axis in SLOW else 1 for axis, size in sizes.items())
    return mesh_utils.create_hybrid_device_mesh(
        within, between, devices, process_is_granule=by_process, allow_split_physical_axes=True
    )


def asked_sizes(config: MeshConfig) -> dict[str, int]:
    """The size of each axis as the config has it; -1: what is left."""
    return {axis: getattr(config, axis) for axis in AXES}


def axis_sizes(config: MeshConfig, num_devices: int) -> dict[str, int]:
    """The size of each axis, -1 filled in."""
    sizes = asked_sizes(config)
    wrong = [axis for axis, size in sizes.items() if size < 1 and size != -1]
    if wrong:
        raise ConfigError(f"mesh.{wrong[0]}={sizes[wrong[0]]} must be at least 1, or -1 for what is left")
    open_axes = [axis for axis, size in sizes.items() if size == -1]
    if len(open_axes) > 1:
        raise ConfigError(f"mesh.{open_axes[0]} and mesh.{open_axes[1]} are both -1; give all axes but one a number")
    fixed = prod(size for size in sizes.values() if size != -1)
    needed = fixed if not open_axes else f"a multiple of {fixed}"
    if num_devices % fixed or (not open_axes and fixed != num_devices):
        asked = tuple(axis for axis in AXES if axis in COMMON or sizes[axis] != 1)
        near = "; ".join(told(would_do, asked) for would_do in _nearest(sizes, asked, num_devices)[:3])
        raise ConfigError(
            f"{told(sizes, asked)} need {needed} devices and there are {num_devices}; "
            f"choose axes whose product is {num_devices}, such as {near}; or -1 for one of them"
        )
    return {axis: num_devices // fixed if size == -1 else size for axis, size in sizes.items()}


def told(sizes: dict[str, int], axes: Sequence[str]) -> str:
    """As a user would write them, the common ones first."""
    return ", ".join(f"mesh.{axis}={sizes[axis]}" for axis in sorted(axes, key=_commonness))


def _commonness(axis: str) -> int:
    return (*COMMON, *(axis for axis in AXES if axis not in COMMON)).index(axis)


def _nearest(sizes: dict[str, int], asked: Sequence[str], num_devices: int) -> list[dict[str, int]]:
    """All sizes of the asked axes that would do, those that change the fewest first, then by how much they change them."""
    axes = sorted(asked, key=_commonness)
    choices = [dict(zip(axes, found, strict=True)) for found in _factors(num_devices, len(axes))]

    def changes(found: dict[str, int]) -> tuple[int, float]:
        pairs = [(sizes[axis], new) for axis, new in found.items() if sizes[axis] != -1]
        return sum(size != new for size, new in pairs), sum(abs(log(new / size)) for size, new in pairs)

    return sorted(choices, key=changes)


def _factors(number: int, count: int) -> Iterator[tuple[int, ...]]:
    """All ways to write a number as a product of so many."""
    if count == 1:
        yield (number,)
        return
    for first in (n for n in range(1, number + 1) if number % n == 0):
        yield from ((first, *rest) for rest in _factors(number // first, count - 1))
