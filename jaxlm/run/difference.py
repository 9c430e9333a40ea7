"""What changed between two configs, as they are saved, that would make it another run."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from jaxlm.run.check import join

MAY_CHANGE = (
    "train.steps",
    "train.minutes",
    "train.num_microbatches",
    "train.eval_*",
    "log.*",
    "checkpoint.*",
    "data.num_workers",
    "mesh.*",
    *(f"model.{half}{how}" for half in ("", "generator.", "discriminator.") for how in ("remat", "kernel")),
)
"""Keys whose values may change from one start of a run to the next, with all below them."""

ABSENT = "(absent)"


class Difference(NamedTuple):
    """One key whose value changed; as JSON has the values, a part by its type's name."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.old!r} there, {self.new!r} now"


def differences(saved: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Where two configs in JSON differ, in the order of `new`, without what may change.

    `optimizer.steps` None in `new` agrees with any: the schedule keeps the length that it was resolved to.
    """
    found = _compare(saved, new, "")
    return [d for d in found if not _may_change(d.key) and not (d.key == "optimizer.steps" and d.new is None)]


def flatten(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of each leaf of a config in JSON; `KEY.type` for the class of a part."""
    parts = _parts(node)
    if not parts:
        yield key, node
    for name, part in parts.items():
        yield from flatten(part, join(key, name))


def _compare(old: Any, new: Any, key: str) -> Iterator[Difference]:
    old_parts, new_parts = _parts(old), _parts(new)
    if _class(old) != _class(new):
        yield Difference(key, _class(old) or old, _class(new) or new)
    elif not old_parts or not new_parts or isinstance(old, list) != isinstance(new, list):
        if old != new or isinstance(old, bool) != isinstance(new, bool):
            yield Difference(key, old, new)
    else:
        for name in [*new_parts, *(n for n in old_parts if n not in new_parts)]:
            yield from _compare(old_parts.get(name, ABSENT), new_parts.get(name, ABSENT), join(key, name))


def _parts(node: Any) -> dict[Any, Any]:
    if isinstance(node, Mapping):
        return {name: part for name, part in node.items() if name != "format"}
    return dict(enumerate(node)) if isinstance(node, list) else {}


def _class(node: Any) -> str | None:
    return node.get("type") if isinstance(node, Mapping) else None


def _may_change(key: str) -> bool:
    return any(fnmatchcase(key, pattern) or key.startswith(f"{pattern}.") for pattern in MAY_CHANGE)
