"""Which axes of the mesh the devices of a collective differ in."""

import re
from collections.abc import Mapping
from math import prod

import numpy as np

GROUPS = re.compile(
    r"(?:replica_groups|source_target_pairs)=(?P<groups>"
    r"\{\}|\{\{.*?\}\}"  # {{0,1},{2,3}}
    r"|\[[\d,]+\]<=\[[\d,]+\](?:T\([\d,]+\))?"  # [2,2]<=[4], or of the transposed: T(1,0)
    r"|mesh\[[^\]]*\](?:, device_ids=\([^)]*(?:\)\))?[^{]*)?\s*\{[^}]*\})"  # mesh['a'=2,'b'=2], device_ids=([2,2]T(1,0)) {'a'}
)
IOTA = re.compile(r"\[(?P<dims>[\d,]+)\](?:T\((?P<order>[\d,]+)\))?")
AXIS = re.compile(r"'(?P<name>\w+)'(?::\((?P<before>\d+)\)(?P<size>\d+))?")


def device_groups(text: str, num_devices: int) -> np.ndarray:
    """[groups, devices of each] from one of the ways in which XLA writes them; `{}` stands for all devices."""
    if text == "{}":
        return np.arange(num_devices)[None]
    if text.startswith("{{"):
        return np.array([_ints(group) for group in re.findall(r"\{([\d,]+)\}", text)])
    if text.startswith("["):
        shape, _, source = text.partition("<=")
        return _iota(source).reshape(_ints(shape[1:-1]))
    return _of_mesh(text, num_devices)


def mesh_axes(groups: np.ndarray, sizes: Mapping[str, int]) -> tuple[str, ...]:
    """The axes, of a mesh with these sizes, along which the devices of a group differ; in the mesh's order."""
    places = np.stack(np.unravel_index(groups, tuple(sizes.values())), axis=-1)  # [groups, devices, axes]
    differ = (places != places[:, :1]).any((0, 1))
    return tuple(axis for axis, differs in zip(sizes, differ, strict=True) if differs)


def _of_mesh(text: str, num_devices: int) -> np.ndarray:
    """XLA's own mesh; `'a':(2)4` is the part of axis a that has 4 places, behind one of 2."""
    dims, rest = text.removeprefix("mesh[").split("]", 1)
    ids, _, chosen = rest.rpartition("{")
    sizes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", dims)}
    parts: list[tuple[str, int, bool]] = []
    wanted: dict[str, tuple[int, int]] = {}
    for found in AXIS.finditer(chosen):
        before, size = (int(found["before"]), int(found["size"])) if found["before"] else (1, sizes[found["name"]])
        wanted[found["name"]] = before, size
    for name, size in sizes.items():
        before, within = wanted.get(name, (1, 1))
        parts += [(name, before, False), (name, within, name in wanted), (name, size // before // within, False)]
    iota = _iota(ids[ids.index("(") + 1 :]) if "(" in ids else np.arange(num_devices)
    grid = iota.reshape([size for _, size, _ in parts])
    inside = [i for i, (_, _, among) in enumerate(parts) if among]
    outside = [i for i in range(len(parts)) if i not in inside]
    return grid.transpose(outside + inside).reshape(-1, prod(grid.shape[i] for i in inside))


def _iota(text: str) -> np.ndarray:
    """The numbers from 0 on, as a grid of these dims, transposed, one after the other."""
    found = IOTA.match(text)
    assert found is not None, f"XLA writes devices as [dims]T(order), not as {text!r}"
    grid = np.arange(prod(_ints(found["dims"]))).reshape(_ints(found["dims"]))
    return grid.transpose(_ints(found["order"])).reshape(-1) if found["order"] else grid.reshape(-1)


def _ints(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
