"""What is amiss with how a program lies on its mesh, before it is compiled: in words, with the key to change."""

from collections import defaultdict
from collections.abc import Iterator
from math import prod

import jax

from jaxlm.core.trees import leaf_names
from jaxlm.parallel.shardings import device_bytes
from jaxlm.plan.leaves import Leaf, cut_by, parameters
from jaxlm.train.program import Program

LARGE = 64 * 2**20
"""Bytes of an array from which on it matters that each device holds it whole."""


def findings(program: Program) -> list[str]:
    """One message each: arrays of more than 64 MiB that lie whole on every device, axes of the mesh that do not divide what they
    shall cut or cut nothing, and a batch whose rows do not fill the devices."""
    if program.partitioner.mesh.size == 1:
        return list(_unfilled(program))
    return [*_undivided(program), *_unused(program), *_whole(program), *_unfilled(program)]


def _undivided(program: Program) -> Iterator[str]:
    """Dims that their axes do not divide; such a dim is not cut."""
    mesh = program.partitioner.mesh
    found: dict[tuple[str, int, tuple[str, ...]], list[Leaf]] = defaultdict(list)
    for leaf in parameters(program):
        asked = program.partitioner.asked(leaf.axes, leaf.array.shape)
        for name, size, (axes, divide) in zip(leaf.axes, leaf.array.shape, asked, strict=True):
            if not divide:
                found[name, size, axes].append(leaf)
    for (name, size, axes), leaves in found.items():
        keys = " x ".join(f"mesh.{axis}={mesh.shape[axis]}" for axis in axes)
        kept = sum(device_bytes(leaf.array) for leaf in leaves)
        also = "; each device computes all of them" if name in ("heads", "kv_heads") else ""
        instead = f"Choose a divisor of {size}" if size > 1 else f"Set {keys.partition('=')[0]} to 1"
        if name == "vocab":  # whose tables may have rows that nothing reads
            instead = f"Set {program.model.embed_keys[0]}.table_multiple={prod(mesh.shape[axis] for axis in axes)}"
        yield f"{keys} does not divide {name}={size}: {_named(leaves)} not cut along it, {_size(kept)} a device{also}. {instead}"


def _unused(program: Program) -> Iterator[str]:
    """Axes for parameters that cut none."""
    mesh, partitioner = program.partitioner.mesh, program.partitioner
    state = program.layout.abstract
    cutting = {axis for array in jax.tree.leaves((state.params, state.opt_state)) for axis in cut_by(array.sharding)}
    rows = partitioner.rules["batch"]
    for axis, size in mesh.shape.items():
        if size == 1 or axis in cutting:
            continue
        if axis not in ("data", "dcn_data"):
            instead = "its devices share rows out, as mesh.data's do" if axis in rows else "its devices do the same work"
            yield f"mesh.{axis}={size} cuts no parameter: {instead}. Set it to 1 and mesh.data to {size} times as many"
        elif axis not in rows:
            yield f"mesh.{axis}={size} cuts nothing: its devices do the same work. Name {axis} in the rule of 'batch' in mesh.rules"


def _whole(program: Program) -> Iterator[str]:
    """Large arrays of the state that each device holds all of."""
    kinds = {"parameter": program.layout.abstract.params, "optimizer state": program.layout.abstract.opt_state}
    named = [(f"{kind} {name}", array) for kind, tree in kinds.items() for name, array in leaf_names(tree)]
    whole = [(name, device_bytes(array)) for name, array in named if not cut_by(array.sharding) and device_bytes(array) > LARGE]
    if whole and program.partitioner.rules["embed"]:  # else the recipe's own rule leaves them so
        name, largest = max(whole, key=lambda pair: pair[1])
        what = "mesh.fsdp cuts them" if program.partitioner.mesh.shape["fsdp"] == 1 else "mesh.fsdp does not divide them"
        yield (
            f"{len(whole)} arrays of more than 64 MiB are whole on each of {program.partitioner.mesh.size} devices, "
            f"{_size(sum(size for _, size in whole))} together, the largest {name} with {_size(largest)}: {what}"
        )


def _unfilled(program: Program) -> Iterator[str]:
    """Rows of weight 0 that are computed for nothing."""
    rows, padded = program.train.batch_size, program.padded_size
    if padded > rows:
        parts = program.partitioner.batch_shards * program.train.num_microbatches
        yield (
            f"train.batch_size={rows} is filled up to {padded} rows, {1 - rows / padded:.0%} of the work for nothing: "
            f"choose a multiple of {parts}, the parts that devices and microbatches cut it into"
        )


def _named(leaves: list[Leaf]) -> str:
    if len(leaves) == 1:
        return f"{leaves[0].name} is"
    return f"{len(leaves)} parameters ({leaves[0].name}, ...) are"


def _size(num_bytes: float) -> str:
    unit, power = next(((unit, power) for unit, power in (("GiB", 30), ("MiB", 20)) if num_bytes >= 2**power), ("KiB", 10))
    return f"{num_bytes / 2**power:,.1f} {unit}"
