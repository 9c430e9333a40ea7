"""`jaxlm data show`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional
from jaxlm.core.table import aligned


@dataclass(frozen=True)
class DataShowArguments:
    """The words of `jaxlm data show`."""

    run: str = positional("A run folder.")
    step: int = flag(1, "N", "The step; the first is 1.")
    row: int = flag(0, "R", "The row of its batch; the first is 0.")
    trust: bool = flag(False, "", "Where its config.json names code that is not jaxlm's own, run it.")


def run(arguments: DataShowArguments) -> Mapping[str, Any]:
    """Prints what a step trained on, a line a token; returns it."""
    from jaxlm.run.inspect import trained_row

    shown = trained_row(arguments.run, arguments.step, arguments.row, trust=arguments.trust)
    print("\n".join(row_lines(shown)))
    return shown


def row_lines(shown: Mapping[str, Any]) -> list[str]:
    """Where the row came from, its text, then place, segment, position, token, target and weight of each token."""
    lines = [
        f"step {shown['step']}, row {shown['row']}: position {shown['position']}, epoch {shown['epoch']}, source {shown['source']}"
    ]
    for number, span in enumerate(shown["documents"], 1):
        lines.append(f"  segment {number}: {span['id']}, its tokens {span['start']} to {span['stop'] - 1}")
    lines += ["", shown["text"], ""]
    columns = ("segments", "positions", "tokens", "pieces", "targets", "target_pieces", "weights")
    rows: list[tuple[str, ...]] = [("place", "segment", "position", "id", "token", "target", "", "weight")]
    rows += [(str(place), *(_cell(shown[name][place]) for name in columns)) for place in range(len(shown["tokens"]))]
    return lines + aligned(rows)


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)[1:-1] if isinstance(value, str) else str(value)


COMMAND = Command(
    name="data show",
    summary="Print exactly what a row of a step trained on: text, documents, segments, targets, weights.",
    arguments=DataShowArguments,
    run=run,
    examples=("jaxlm data show runs/quickstart --step 1200 --row 3",),
)
