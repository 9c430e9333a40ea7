"""What the devices of a step have to send each other, by the papers' formulas."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxlm.models.pair import Pair
from jaxlm.models.transformer import LOOKED_UP
from jaxlm.plan.leaves import Leaf, cut_by, parameters
from jaxlm.train.program import Program

Key = tuple[str, str]
"""(gather, reduce or exchange; axis of the mesh)."""


class Need(NamedTuple):
    """Bytes a device and step."""

    least: float
    """Where XLA sends once what both passes, several microbatches, layers that share a parameter, or uses of a table need."""
    most: float
    """Where it sends it for each of them."""


class _Term(NamedTuple):
    """Something that is sent, of so many bytes, over axes from the inner to the outer."""

    kind: str
    axes: Sequence[str]
    num_bytes: float
    least: float
    most: float
    """How often."""


def closed_form(program: Program) -> dict[Key, Need]:
    """By kind and axis.

    Parameters that are cut along an axis of the rows (fsdp) are gathered in the forward and in the backward pass, tables that
    are looked up in the forward pass alone, and gradients are summed over all axes of the rows, once for each microbatch and
    each use (ZeRO, arXiv:1910.02054, section 7). Where the optimizer's state is cut and the parameter is not, it is gathered
    once it is updated, in its own format. Where a sublayer is cut along another axis (tensor) its output is summed over it in
    the forward pass and its inputs' gradients in the backward pass (Megatron-LM, arXiv:1909.08053, section 3). All else is in
    the number format of computation. What the optimizer itself sends, as Muon's products do, is not in it.
    """
    sizes = program.partitioner.mesh.shape
    total: dict[Key, Need] = defaultdict(lambda: Need(0.0, 0.0))
    for term in (*_of_parameters(program), *_of_activations(program)):
        for axis, share in by_axis(term.axes, term.num_bytes, sizes):
            have = total[term.kind, axis]
            total[term.kind, axis] = Need(have.least + term.least * share, have.most + term.most * share)
    return total


def by_axis(axes: Sequence[str], num_bytes: float, sizes: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """What goes over each axis where several are summed or gathered over, innermost first: all bytes over the first, and over
    each further one the part that a device of those before is left with."""
    for axis in axes:
        yield axis, num_bytes
        num_bytes /= sizes[axis]


def width(program: Program) -> int:
    """Bytes of a number of the format that the model computes in."""
    return int(jnp.dtype(_parts(program)[0].dtype).itemsize)


def _of_parameters(program: Program) -> Iterator[_Term]:
    sizes, of_optimizer = program.partitioner.mesh.shape, program.partitioner.of_optimizer.sharding
    rows = _row_axes(program)
    for leaf in parameters(program):
        cut = cut_by(leaf.array.sharding)
        gathered = [axis for axis in rows if axis in cut]
        over = gathered + [axis for axis in rows if axis not in cut]
        held = width(program) * leaf.array.size / prod(sizes[axis] for axis in cut.difference(rows))
        again = _sharers(leaf, program) * program.train.num_microbatches
        gathers, sums = _uses(leaf, program)
        yield _Term("gather", gathered, held, 1, gathers * again)
        yield _Term("reduce", over, held, 1, sums * again)
        kept = cut_by(of_optimizer(leaf.axes, leaf.array.shape))
        own = leaf.array.dtype.itemsize * leaf.array.size / prod(sizes[axis] for axis in cut)
        yield _Term("gather", [axis for axis in rows if axis in kept - cut], own, width(program) / leaf.array.dtype.itemsize, 1)


def _uses(leaf: Leaf, program: Program) -> tuple[int, int]:
    """(gathers, sums) of a parameter: it is needed whole in both passes, for look-ups in one, and each use sums a gradient."""
    if not LOOKED_UP.search(leaf.name):
        return 2, 1
    if not leaf.name.startswith("embed/"):
        return 1, 1  # a bias of attention, which one side alone looks up
    parts, scores = _parts(program), _tied(program) if leaf.name == "embed/table" else 0
    return len(parts) + 2 * scores, sum(2 if part.encoder else 1 for part in parts) + scores


def _of_activations(program: Program) -> Iterator[_Term]:
    """Sums over axes that cut a sublayer's parameters and not the rows."""
    sublayers = {leaf.name.rpartition("/")[0]: (leaf, axes) for leaf in parameters(program) if (axes := _other_axes(leaf, program))}
    per_row = width(program) * program.padded_size // program.partitioner.batch_shards
    left = Counter(name.rpartition("/")[0] for name in sublayers if "block_" in name)
    for name, (leaf, axes) in sublayers.items():
        part, in_block = _part(leaf, program), "block_" in name
        own, other = program.lengths[0], program.lengths[-1]
        if name.startswith("encoder_"):
            own = other
        if name == "embed":
            places = sum(own + (other if each.encoder else 0) for each in _parts(program)) + _tied(program) * own
        elif in_block:  # its output, and the gradient of what it read
            places = 2 * own + (other if name.endswith("/cross_attention") else 0)
        else:  # of a head's table: the gradient of the states that it scores
            places = own
        dim = part.embed.embed_dim if name == "embed" else part.dim()
        layers = leaf.array.shape[leaf.axes.index("layers")] if "layers" in leaf.axes else _sharers(leaf, program)
        yield _Term("reduce", axes, layers * places * dim * per_row, 1, 1)
        block = name.rpartition("/")[0]
        left[block] -= 1
        if in_block and left[block] and part.remat == "full":  # computed again for what follows, which nothing does the last one
            yield _Term("reduce", axes, layers * own * dim * per_row, 1, 1)


def _other_axes(leaf: Leaf, program: Program) -> list[str]:
    """Axes that cut a matrix and not the rows; of biases of attention, which are looked up, none is summed."""
    if len([axis for axis in leaf.axes if axis != "layers"]) < 2 or leaf.name.endswith("_relative_bias/table"):
        return []
    rows = _row_axes(program)
    return [axis for axis in program.partitioner.mesh.shape if axis in cut_by(leaf.array.sharding) and axis not in rows]


def _row_axes(program: Program) -> list[str]:
    """Axes that cut the batch's rows, innermost first."""
    return [axis for axis in program.partitioner.rules["batch"] if program.partitioner.mesh.shape[axis] > 1][::-1]


def _parts(program: Program) -> list[Any]:
    """The model's transformers: of a pair both, of any other itself."""
    return [part for part, _ in program.model.parts(program.layout.abstract.params)]


def _part(leaf: Leaf, program: Program) -> Any:
    """The transformer that a parameter belongs to."""
    half = leaf.name.partition("/")[0]
    return getattr(program.model, half) if isinstance(program.model, Pair) and half != "embed" else _parts(program)[0]


def _tied(program: Program) -> int:
    """How often the embedding's table scores."""
    return sum(any(getattr(head, "tied", False) for _, head in part.heads) for part in _parts(program))


def _sharers(leaf: Leaf, program: Program) -> int:
    """How many layers have this one parameter (ALBERT): each gathers it and sums its gradient."""
    stack = re.search(r"(?:^|/)(encoder|decoder)_(\d+)/", leaf.name)
    return getattr(_part(leaf, program), stack[1])[int(stack[2])].num_sharers() if stack else 1
