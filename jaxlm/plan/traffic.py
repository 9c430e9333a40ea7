"""What the devices of a step send each other: by the closed form, and as the compiled program has it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import jax

from jaxlm.core import Inputs
from jaxlm.models.transformer import LOOKED_UP
from jaxlm.plan.groups import mesh_axes
from jaxlm.plan.hlo import Collective
from jaxlm.plan.leaves import cut_by, parameters
from jaxlm.train.program import Program

KINDS = {"all-gather": "gather", "all-reduce": "reduce", "reduce-scatter": "reduce"}
"""All others exchange. A reduction counts the bytes of what is added up, however it is spelt."""
TOLERANCE = 0.1
SMALL = 0.01
"""Share of all bytes below which a kind on an axis is of no interest: norms, biases, sums of a loss."""

Key = tuple[str, str]
"""(gather, reduce or exchange; axis of the mesh)."""


class Line(NamedTuple):
    """A kind of traffic on an axis, bytes a device and step."""

    kind: str
    axis: str
    closed_form: float
    compiled: float
    sources: tuple[tuple[str, float], ...]
    """Where most of it comes from, and how many bytes."""
    expected: bool
    """Whether the program sends no more than the closed form says: so much of this kind, or in all kinds over this axis, for one
    may stand for another (a product whose parts are sent on in turn is exchanged, neither gathered nor reduced)."""


def traffic(program: Program, collectives: Sequence[Collective]) -> list[Line]:
    """The closed form beside what was compiled, without what is small, the largest first."""
    sizes, platform = dict(program.partitioner.mesh.shape), program.partitioner.platform
    hidden, expected = _hidden(program), closed_form(program)
    sent: dict[Key, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in collectives:
        kind, axes = KINDS.get(one.kind, "exchange"), mesh_axes(one.devices, sizes)
        num_bytes = one.times * sum(count * _width(dtype, hidden, platform) for dtype, count in one.arrays)
        for axis, share in _by_axis(axes[::-1], num_bytes, sizes):
            sent[kind, axis][_operation(one.source)] += share
    found = {key: sum(by_source.values()) for key, by_source in sent.items()}
    least = SMALL * max(sum(found.values()), sum(expected.values()))
    lines = []
    for kind, axis in found.keys() | expected.keys():
        here = expected.get((kind, axis), 0.0), found.get((kind, axis), 0.0)
        over = tuple(sum(size for key, size in sizes_of.items() if key[1] == axis) for sizes_of in (expected, found))
        within = any(compiled <= (1 + TOLERANCE) * formula for formula, compiled in (here, over))
        if max(here) > least:
            lines.append(Line(kind, axis, *here, _largest(sent.get((kind, axis), {})), within))
    return sorted(lines, key=lambda line: -max(line.compiled, line.closed_form))


def _largest(by_source: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(by_source.items(), key=lambda item: -item[1])[:3])


def closed_form(program: Program) -> dict[Key, float]:
    """Bytes a device and step, by kind and axis.

    Parameters that are cut along an axis of the rows (fsdp) are gathered in the forward and in the backward pass, tables that
    are looked up in the forward pass alone, and gradients are summed over all axes of the rows, once for each microbatch
    (ZeRO, arXiv:1910.02054, section 7); a table that also scores (tied) is used twice, and each use has its own. Where the
    optimizer's state is cut and the parameter is not, it is gathered once it is updated, in its own format. Where a sublayer is
    cut along another axis (tensor) its output is summed over it in the forward pass and its input's gradient in the backward
    pass (Megatron-LM, arXiv:1909.08053, section 3). All else is in the number
    format of computation. What the optimizer itself sends, as Muon's products do, is not in it.
    """
    sizes = dict(program.partitioner.mesh.shape)
    rows = [axis for axis in program.partitioner.rules["batch"] if sizes[axis] > 1][::-1]
    hidden = _hidden(program)
    width, of_optimizer = hidden.dtype.itemsize, program.partitioner.of_optimizer.sharding
    total: dict[Key, float] = defaultdict(float)
    for leaf in parameters(program):
        cut = cut_by(leaf.array.sharding)
        held = width * leaf.array.size / prod(sizes[axis] for axis in cut.difference(rows))
        gathered = [axis for axis in rows if axis in cut]
        over = gathered + [axis for axis in rows if axis not in cut]
        repeats = _sharers(leaf.name, program) * program.train.num_microbatches
        for kind, axes, times in zip(("gather", "reduce"), (gathered, over), _uses(leaf.name, program), strict=True):
            for axis, share in _by_axis(axes, held, sizes):
                total[kind, axis] += share * times * repeats
        kept = cut_by(of_optimizer(leaf.axes, leaf.array.shape))
        own = leaf.array.dtype.itemsize * leaf.array.size / prod(sizes[axis] for axis in cut)
        for axis, share in _by_axis([axis for axis in rows if axis in kept - cut], own, sizes):
            total["gather", axis] += share
    for axes, num_bytes in _activations(program, hidden, rows):
        for axis, share in _by_axis(axes, num_bytes, sizes):
            total["reduce", axis] += share
    return total


def _uses(name: str, program: Program) -> tuple[int, int]:
    """(gathers, sums) of a parameter: it is needed whole in both passes, for look-ups in one, and each use sums a gradient."""
    if not LOOKED_UP.search(name):
        return 2, 1
    lookups = [part.heads for part in _parts(program)]
    tied = [heads for heads in lookups if any(getattr(head, "tied", False) for _, head in heads)]
    scores = len(tied) if name.endswith("embed/table") else 0
    return len(lookups) + 2 * scores, len(lookups) + scores


def _sharers(name: str, program: Program) -> int:
    """How many layers have this one parameter (ALBERT): each gathers it and sums its gradient."""
    stack = re.match(r"(encoder|decoder)_(\d+)/", name)
    return getattr(_parts(program)[0], stack[1])[int(stack[2])].num_sharers() if stack else 1


def _activations(program: Program, hidden: Any, rows: Sequence[str]) -> Iterator[tuple[list[str], float]]:
    """(axes, bytes) of each sum of activations over axes that cut a sublayer's parameters and not the rows."""
    sizes = program.partitioner.mesh.shape
    per_length = program.padded_size // program.partitioner.batch_shards * hidden.shape[-1] * hidden.dtype.itemsize
    sublayers: dict[str, tuple[list[str], int]] = {}
    for leaf in parameters(program):
        axes = [axis for axis in sizes if axis in cut_by(leaf.array.sharding) and axis not in rows]
        if not axes or len(leaf.axes) < 2 or leaf.array.ndim < 2:
            continue
        repeats = leaf.array.shape[leaf.axes.index("layers")] if "layers" in leaf.axes else _sharers(leaf.name, program)
        sublayers[leaf.name.rpartition("/")[0]] = axes, repeats
    again = Counter(name.rpartition("/")[0] for name in sublayers if "block_" in name)
    for name, (axes, repeats) in sublayers.items():
        length = program.lengths[-1] if "encoder_" in name else program.lengths[0]
        both = "block_" in name or _uses(f"{name}/table", program)[0] > 2  # a table that is looked up, and one that scores
        passes = 2 if both else 1
        yield axes, passes * repeats * length * per_length
        block = name.rpartition("/")[0]
        if again.get(block, 0) > 1 and _remat(program) == "full":  # of all sublayers but the last, for what follows them
            again[block] -= 1
            yield axes, repeats * length * per_length


def _parts(program: Program) -> list[Any]:
    return [part for part, _ in program.model.parts(program.layout.abstract.params)]


def _remat(program: Program) -> str:
    return str(_parts(program)[0].remat)


def _hidden(program: Program) -> Any:
    """The model's last states, as a shape."""
    return jax.eval_shape(program.model, program.layout.abstract.params, Inputs.of(program.batch)).hidden_BLD


def _by_axis(axes: Sequence[str], num_bytes: float, sizes: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """What goes over each axis where several are summed or gathered over, innermost first: all bytes over the first, and over
    each further one the part that a device of those before is left with."""
    for axis in axes:
        yield axis, num_bytes
        num_bytes /= sizes[axis]


def _width(dtype: str, hidden: Any, platform: str) -> int:
    """Bytes of a number. The CPU's compiler widens what is computed in bfloat16 to float32, which other machines do not send."""
    bits = re.search(r"\d+", dtype)
    width = max(1, int(bits[0]) // 8) if bits else 1
    if platform == "cpu" and dtype == "f32":
        return min(width, int(hidden.dtype.itemsize))
    return width


def _operation(source: str) -> str:
    """The end of an operation's name, which tells the layer; of several that were joined the first's."""
    names = [name for name in source.split(":")[0].split("/") if name not in ("while", "body", "closed_call", "checkpoint")]
    return "/".join(names[-4:]) or "unnamed"
