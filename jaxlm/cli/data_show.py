"""`jaxlm data show`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional
from jaxlm.core.table import aligned

GIVEN = ("segments", "positions", "tokens", "pieces")
"""What is told of each token that a model reads."""
ASKED = ("targets", "target_pieces", "weights")
TOLD = {*GIVEN, *ASKED, "step", "row", "position", "epoch", "source", "documents", "partners", "text"}
"""What each row has; the rest is its objective's own: a line where it is one number, a column where it is one a place."""


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
    """Where the row came from, its text, then place, segment, position, token, target and weight of each token; where there is an
    encoder, what it reads likewise, before that."""
    lines = [
        f"step {shown['step']}, row {shown['row']}: position {shown['position']}, epoch {shown['epoch']}, source {shown['source']}"
    ]
    for number, span in enumerate(shown["documents"], 1):
        lines.append(f"  segment {number}: {span['id']}, its tokens {span['start']} to {span['stop'] - 1}")
    for number, spans in enumerate(shown["partners"], 2):
        lines += [f"  window {number}: {span['id']}, its tokens {span['start']} to {span['stop'] - 1}" for span in spans]
    own = {name: values for name, values in shown.items() if name not in TOLD and not name.startswith("encoder_")}
    lines += [f"  {name}: {_cell(value)}" for name, value in own.items() if not isinstance(value, list)]
    if "encoder_tokens" in shown:
        encoder = {name: shown[f"encoder_{name}"] for name in GIVEN}
        lines += ["", f"encoder: {shown['encoder_text']}", "", *_table(encoder, ("place", "segment", "position", "id", "token"))]
        lines += ["", f"decoder: {shown['text']}", ""]
    else:
        lines += ["", shown["text"], ""]
    of_places = [name for name, values in own.items() if isinstance(values, list) and len(values) == len(shown["tokens"])]
    columns = {name: shown[name] for name in (*GIVEN, *ASKED, *of_places)}
    return lines + _table(columns, ("place", "segment", "position", "id", "token", "target", "", "weight", *of_places))


def _table(columns: Mapping[str, Sequence[Any]], head: tuple[str, ...]) -> list[str]:
    """A line a place."""
    return aligned([head, *((str(place), *map(_cell, cells)) for place, cells in enumerate(zip(*columns.values(), strict=True)))])


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)[1:-1] if isinstance(value, str) else str(value)


COMMAND = Command(
    name="data show",
    summary="Print exactly what a row of a step trained on: text, documents, segments, targets, weights.",
    arguments=DataShowArguments,
    run=run,
    examples=("jaxlm data show runs/quickstart --step 1200 --row 3",),
)
