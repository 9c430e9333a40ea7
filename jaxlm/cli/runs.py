"""`jaxlm runs`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlm.cli.command import Command, flag, positional
from jaxlm.core import ConfigError
from jaxlm.core.errors import nearest
from jaxlm.core.paths import absolute, is_remote
from jaxlm.core.table import aligned
from jaxlm.report.replaced import judged
from jaxlm.run.check import as_path
from jaxlm.run.runs import FoundRun, Spread, find_runs, groups, spread

Cell = str | float | None

COLUMNS: dict[str, Callable[[FoundRun], Cell]] = {
    "name": lambda run: run.name,
    "model": lambda run: run.model,
    "objective": lambda run: run.objective,
    "step": lambda run: run.step,
    "train/loss": lambda run: run.metrics.get("train/loss"),
    "eval/loss": lambda run: run.metrics.get("eval/loss"),
    "bits/byte": lambda run: run.metrics[run.bits] if run.bits else None,
    "tokens/s": lambda run: run.metrics.get("perf/tokens_per_s"),
    "state": lambda run: run.state,
}
"""Heading -> what of a run stands below it."""

NUMBERS = ("step", "train/loss", "eval/loss", "bits/byte", "tokens/s")
"""Columns that are set flush right."""

OTHER_BITS = {
    "eval/bits_per_masked_byte": ("*", "bits per hidden byte, by a reader who sees all around it"),
    "eval/bits_per_target_byte": ("+", "bits per byte of the target, by a reader who knows its source"),
}
"""What stands in the column bits/byte and is no code of the whole text: its mark, and what it is."""


@dataclass(frozen=True)
class RunsArguments:
    """The words of `jaxlm runs`."""

    dir: str = positional("The folder below which runs are sought, at any depth.", default="runs")
    sort: str = flag("name", "COLUMN", "The column to sort by, ascending; what has no value there comes last.")


def run(arguments: RunsArguments) -> Mapping[str, Any]:
    """Prints a table of the runs, one of those that differ in their seed alone, and what is none."""
    if arguments.sort not in COLUMNS:
        raise ConfigError(f"--sort: there is no column {arguments.sort!r}.{nearest(arguments.sort, COLUMNS)}")
    where = as_path(arguments.dir, "DIR")
    runs, refused = find_runs(where if is_remote(where) else Path(arguments.dir).expanduser())  # as typed, for messages
    value = COLUMNS[arguments.sort]
    runs.sort(key=lambda run: (value(run) is None, value(run)))
    found = groups(runs)
    if not runs and not refused:
        print(f"{arguments.dir} holds no runs. Train one: jaxlm train quickstart")
    if runs:
        print(_table(list(COLUMNS), [[_shown(cell(run), run, name) for name, cell in COLUMNS.items()] for run in runs]))
    for key, (mark, meaning) in OTHER_BITS.items():
        if any(run.bits == key for run in runs):
            print(f"{mark} {meaning}")
    if any("eval/loss" in run.metrics and run.objective != runs[0].objective for run in runs):
        print("eval/loss is what each objective minimises: between objectives compare bits/byte")
    for run in runs:
        if (said := judged(run.metrics)) is not None:
            print(f"{run.name}: {said}")
    if found:
        print("\nruns that differ in train.seed alone, mean and deviation:")
        print(_table(["runs", "seeds", "eval/loss", "bits/byte"], [_group_row(group) for group in found]))
    for failed in runs:
        if failed.reason:
            print(f"{failed.name} failed: {failed.reason}")
    for folder in refused:
        print(f"{folder.name} is left out: {folder.reason}")
    return {
        "runs": [_as_json(run) for run in runs],
        "groups": [_group_as_json(group) for group in found],
        "left_out": [folder._asdict() for folder in refused],
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(aligned([head, *rows], right=[i for i, name in enumerate(head) if name in NUMBERS]))


def _shown(value: Cell, run: FoundRun, column: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if column in ("step", "tokens/s"):
        return f"{value:,.0f}"
    return f"{value:.4f}{_mark(run) if column == 'bits/byte' else ''}"


def _mark(run: FoundRun) -> str:
    return OTHER_BITS.get(run.bits or "", ("", ""))[0]


def _group_row(group: Sequence[FoundRun]) -> list[str]:
    first = group[0]
    names, seeds = ", ".join(run.name for run in group), ", ".join(str(run.seed) for run in group)
    bits = spread(group, first.bits) if first.bits else None
    return [names, seeds, _spread(spread(group, "eval/loss")), f"{_spread(bits)}{_mark(first) if bits else ''}"]


def _spread(found: Spread | None) -> str:
    return "-" if found is None else f"{found.mean:.4f} ± {found.deviation:.4f}"


def _as_json(run: FoundRun) -> dict[str, Any]:
    about = {"name": run.name, "run_dir": str(absolute(run.folder.path)), "model": run.model, "objective": run.objective}
    return {**about, "seed": run.seed, "state": run.state, "reason": run.reason or None, **run.metrics, "step": run.step}


def _group_as_json(group: Sequence[FoundRun]) -> dict[str, Any]:
    keys = ["eval/loss", *filter(None, [group[0].bits])]
    values = {key: found._asdict() for key in keys if (found := spread(group, key))}
    return {"runs": [run.name for run in group], "seeds": [run.seed for run in group], **values}


COMMAND = Command(
    name="runs",
    summary="Compare runs: a table of their newest numbers and how they ended.",
    arguments=RunsArguments,
    run=run,
    examples=(
        "jaxlm runs",
        "jaxlm runs runs/sweep --sort eval/loss",
        "jaxlm runs . --json",
    ),
)
