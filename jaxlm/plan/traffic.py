"""What the devices of a step send each other as the compiled program has it, beside the closed form."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxlm.plan.closed_form import Key, Need, by_axis, closed_form, width
from jaxlm.plan.groups import mesh_axes
from jaxlm.plan.hlo import Collective
from jaxlm.train.program import Program

KINDS = {"all-gather": "gather", "all-reduce": "reduce", "reduce-scatter": "reduce"}
"""All others exchange. A reduction counts the bytes of what is added up, however it is spelt."""
TOLERANCE = 0.1
SMALL = 0.01
"""Share of all bytes below which a kind on an axis is of no interest: norms, biases, sums of a loss."""


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
    less: bool
    """Whether it sends less than the closed form's least, of this kind and in all kinds over this axis."""


def traffic(program: Program, collectives: Sequence[Collective]) -> list[Line]:
    """The closed form beside what was compiled, without what is small, the largest first."""
    form = closed_form(program)
    sent = _sent(program, collectives)
    found = {key: sum(by_source.values()) for key, by_source in sent.items()}
    least = SMALL * max(sum(found.values()), sum(need.most for need in form.values()))
    lines = []
    for key in found.keys() | form.keys():
        need, compiled = form.get(key, Need(0.0, 0.0)), found.get(key, 0.0)
        all_needed = [each for (_, axis), each in form.items() if axis == key[1]]
        all_sent = sum(size for (_, axis), size in found.items() if axis == key[1])
        here = (need.least, need.most, compiled)
        over = (sum(each.least for each in all_needed), sum(each.most for each in all_needed), all_sent)
        no_more = any(size <= (1 + TOLERANCE) * most for _, most, size in (here, over))
        less = all((1 + TOLERANCE) * size < fewest for fewest, _, size in (here, over))
        if max(need.most, compiled) > least:
            lines.append(Line(*key, need.most, compiled, _largest(sent.get(key, {})), no_more, less))
    return sorted(lines, key=lambda line: -max(line.compiled, line.closed_form))


def _sent(program: Program, collectives: Sequence[Collective]) -> dict[Key, dict[str, float]]:
    """Bytes by kind and axis, and there by the operation that they come from."""
    sizes, platform = dict(program.partitioner.mesh.shape), program.partitioner.platform
    sent: dict[Key, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in collectives:
        kind, axes = KINDS.get(one.kind, "exchange"), mesh_axes(one.devices, sizes)
        num_bytes = one.times * sum(count * _width(dtype, program, platform) for dtype, count in one.arrays)
        for axis, share in by_axis(axes[::-1], num_bytes, sizes):
            sent[kind, axis][_operation(one.source)] += share
    return sent


def _largest(by_source: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(by_source.items(), key=lambda item: -item[1])[:3])


def _width(dtype: str, program: Program, platform: str) -> int:
    """Bytes of a number. The CPU's compiler widens what is computed in bfloat16 to float32, which other machines do not send."""
    bits = re.search(r"\d+", dtype)
    held = max(1, int(bits[0]) // 8) if bits else 1
    return min(held, width(program)) if platform == "cpu" and dtype == "f32" else held


def _operation(source: str) -> str:
    """The end of an operation's name, which tells the layer; of several that were joined the first's."""
    names = [name for name in source.split(":")[0].split("/") if name not in ("while", "body", "closed_call", "checkpoint")]
    return "/".join(names[-4:]) or "unnamed"
