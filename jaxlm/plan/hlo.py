"""The collectives of a compiled program, read off its text (HLO): what XLA's partitioner and its passes made of it."""

import re
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np

from jaxlm.plan.groups import GROUPS, device_groups

KINDS = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)

NAMED = re.compile(rf" (?:{'|'.join(KINDS)})(?:-start)?\(")
COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*-> .*\{$")
INSTRUCTION = re.compile(r"^\s+(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = (?P<shape>.*?) (?P<op>[a-z][\w\-]*)\((?P<rest>.*)$")
ARRAY = re.compile(r"\b(?P<dtype>pred|[a-z]+\d\w*)\[(?P<dims>[\d,]*)\]")
START = "async-collective-start"
CALLS = {
    "call": ("to_apply",),
    "async-start": ("calls",),
    "conditional": ("branch_computations", "true_computation", "false_computation"),
}
"""What else than loops and fusions has a computation of its own, and where it names it; of branches all are counted."""


class Collective(NamedTuple):
    """One of a program, once for each place that comes by it."""

    kind: str
    arrays: tuple[tuple[str, int], ...]
    """(number format, elements) of each whole array: of what a gather makes, of what a reduction adds up."""
    devices: np.ndarray
    """[groups, devices of each]: which talk to each other, by their places in the mesh."""
    times: int
    """How often a run of the program comes by."""
    source: str
    """The operation it comes from, such as `jit(step)/.../mlp.up/dot_general`; empty: XLA says none."""
    known: bool
    """Whether that often: False where a loop turns as often as the data says, and is counted once."""


class _Instruction(NamedTuple):
    name: str
    shape: str
    op: str
    rest: str
    root: bool


class _Times(NamedTuple):
    number: int
    known: bool


_Computations = dict[str, list[_Instruction]]


def collectives(text: str, num_devices: int) -> list[Collective]:
    """All of a compiled program's, from `compiled.as_text()`.

    One that runs beside computation is written several times by the TPU compiler: where it starts, in the fusions that carry it
    along, also through loops, and where it is done. It is counted where it starts.
    """
    computations, entry = _parsed(text)
    visited = list(_within(entry, computations, _Times(1, True)))
    unread = _collectives_of(computations) - {found.name for _, found, _ in visited}
    assert not unread, f"each collective is in a place that the program comes by; not so {sorted(unread)[:3]}"
    started = {
        number
        for instructions in computations.values()
        for instruction in instructions
        if instruction.name.startswith(START)
        for found in _fused(instruction, computations)
        if (number := _number(found, "channel_id")) is not None
    }
    return [
        _collective(found, times, num_devices)
        for holder, found, times in visited
        if holder.name.startswith(START) or _number(found, "channel_id") not in started
    ]


def _parsed(text: str) -> tuple[_Computations, str]:
    computations: _Computations = {}
    entry, current = "", None
    for line in text.splitlines():
        if (head := COMPUTATION.match(line)) is not None:
            current = computations.setdefault(head["name"], [])
            entry = head["name"] if head["entry"] else entry
        elif line == "}":
            current = None
        elif current is not None and (found := INSTRUCTION.match(line)) is not None:
            current.append(_Instruction(found["name"], found["shape"], found["op"], found["rest"], bool(found["root"])))
        else:
            assert NAMED.search(line) is None, f"a collective is an instruction of a computation, not {line.strip()[:200]!r}"
    assert entry, "a program's text names its entry"
    return computations, entry


def _collectives_of(computations: _Computations) -> set[str]:
    return {one.name for instructions in computations.values() for one in instructions if one.op.removesuffix("-start") in KINDS}


def _within(name: str, computations: _Computations, times: _Times) -> Iterator[tuple[_Instruction, _Instruction, _Times]]:
    """(what holds it, a collective, how often it runs) of a computation that runs so often, and of what it calls."""
    for instruction in computations[name]:
        if instruction.op == "while":
            (condition,), (body,) = (_called(instruction, key) for key in ("condition", "body"))
            rounds = _rounds(instruction, computations[condition], computations[body])
            inside = times._replace(known=False) if rounds is None else times._replace(number=times.number * rounds)
            yield from _within(body, computations, inside)
        elif instruction.op in CALLS:
            for callee in _called(instruction, *CALLS[instruction.op]):
                yield from _within(callee, computations, times)
        for found in _fused(instruction, computations):
            yield instruction, found, times


def _fused(instruction: _Instruction, computations: _Computations) -> Iterator[_Instruction]:
    """The collectives that an instruction is or, where it is a fusion, holds."""
    if instruction.op.removesuffix("-start") in KINDS:
        yield instruction
    elif instruction.op == "fusion":
        for callee in _called(instruction, "calls"):
            for inner in computations[callee]:
                yield from _fused(inner, computations)


def _collective(instruction: _Instruction, times: _Times, num_devices: int) -> Collective:
    kind = instruction.op.removesuffix("-start")
    found = [
        (array["dtype"], prod(map(int, filter(None, array["dims"].split(","))))) for array in ARRAY.finditer(instruction.shape)
    ]
    if instruction.op.endswith("-start") and kind != "all-reduce":  # operands, results, and the marks of permutes
        found = [array for array in found if array != ("u32", 1)]
        found = found[len(found) // 2 :]
    groups = GROUPS.search(instruction.rest)
    assert groups is not None, f"a collective names its devices: {instruction.rest[:200]}"
    devices = device_groups(groups["groups"], num_devices)
    if kind == "reduce-scatter":
        found = [(dtype, size * devices.shape[1]) for dtype, size in found]
    source = re.search(r'op_name="([^"]*)"', instruction.rest)
    return Collective(kind, tuple(found), devices, times.number, source[1] if source else "", times.known)


def _called(instruction: _Instruction, *keys: str) -> list[str]:
    found = [re.search(rf"\b{key}=(\{{[^}}]*\}}|%?[\w.\-]+)", instruction.rest) for key in keys]
    return [name for match in found if match for name in re.findall(r"[\w.\-]+", match[1])]


def _number(instruction: _Instruction, key: str) -> str | None:
    found = re.search(rf"\b{key}=(\d+)", instruction.rest)
    return found[1] if found else None


def _rounds(loop: _Instruction, condition: list[_Instruction], body: list[_Instruction]) -> int | None:
    """How often a loop turns: as XLA says; else its bound, the number that its condition compares with, by its counter's step,
    which is more than 1 where XLA unrolled it; None: one of them is no number."""
    if (known := re.search(r'known_trip_count":\{"n":"(\d+)"', loop.rest)) is not None:
        return int(known[1])
    bounds = [_constant(i) for i in condition if i.op == "constant" and i.shape.startswith(("s32[]", "u32[]"))]
    compared = next((i for i in condition if i.op == "get-tuple-element"), None)
    root = next(i for i in body if i.root)
    if len(bounds) != 1 or compared is None or root.op != "tuple":
        return None
    by_name = {instruction.name: instruction for instruction in body}
    grown = by_name[_operands(root)[int(_number(compared, "index") or 0)]]
    steps = [_constant(by_name[name]) for name in _operands(grown) if name in by_name and by_name[name].op == "constant"]
    return -(-bounds[0] // steps[0]) if grown.op == "add" and len(steps) == 1 else None


def _constant(instruction: _Instruction) -> int:
    return int(instruction.rest.split(")")[0])


def _operands(instruction: _Instruction) -> list[str]:
    return re.findall(r"%([\w.\-]+)", instruction.rest.split(")")[0])
