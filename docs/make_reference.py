"""Writes docs/reference.md from the code:  python docs/make_reference.py"""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxlm import corpus, objectives, optim, tokenizer
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.cli.command import help_text
from jaxlm.cli.main import COMMANDS
from jaxlm.core import Source, Step
from jaxlm.core.errors import EXIT_CODES
from jaxlm.core.lookup import load
from jaxlm.data.config import DataConfig
from jaxlm.models import layers
from jaxlm.models.families import FAMILIES
from jaxlm.models.layers.base import Settings
from jaxlm.models.transformer import Transformer
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.check import describe, hints
from jaxlm.run.config import RunConfig
from jaxlm.run.files import FILES
from jaxlm.train.config import LogConfig, TrainConfig
from jaxlm.train.metrics import METRICS

TARGET = Path(__file__).with_name("reference.md")


def classes(room: Any, base: type) -> list[type]:
    """The classes that a room offers for a field of type `base`, without those that are there to be extended."""
    offered = [getattr(room, name) for name in room.__all__]
    values = [cls for cls in offered if isinstance(cls, type) and issubclass(cls, base) and dataclasses.is_dataclass(cls)]
    return [cls for cls in values if cls is not base]


GROUPS: dict[str, list[type]] = {
    "model": [Transformer, *classes(layers, Settings)],
    "objective": classes(objectives, objectives.Objective),
    "optimizer": [*classes(optim, optim.Optimizer), *classes(optim, optim.Schedule)],
    "tokenizer": classes(tokenizer, tokenizer.TokenizerConfig),
    "data": [DataConfig, *classes(corpus, Source), *classes(corpus, Step)],
    "train": [TrainConfig],
    "mesh": [MeshConfig],
    "checkpoint": [CheckpointConfig],
    "log": [LogConfig],
}
"""Group -> the classes that stand there and below."""


def reference() -> str:
    """The whole document."""
    parts = [
        "# Reference",
        "Made from the code by `python docs/make_reference.py`; a test holds the two together.",
        "## Commands",
        *(f"### jaxlm {name}\n\n```text\n{help_text(load(target), [])}\n```" for name, target in COMMANDS.items()),
        "## Exit codes",
        table(("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items())),
        "## A run folder",
        table(("file", "what it is"), ((f"`{name}`", meaning) for name, meaning in FILES.items())),
        "## Metrics",
        "Keys of a line of `metrics.jsonl`, of TensorBoard and of `summary.json`. An objective of one's own adds `train/NAME` and "
        "`eval/NAME` for each metric that its loss sums up.",
        table(
            ("key", "unit", "meaning"),
            (
                (f"`{key}`", m.unit, m.meaning if m.where == "both" else f"{m.meaning} (`summary.json` alone)")
                for key, m in METRICS.items()
            ),
        ),
        "## Config",
        "A recipe constructs these classes; the command line sets any of their fields by its key, `--train.steps 200`, parts of a "
        "tuple by their number, `--model.decoder.0.repeats 6`.",
        table(("group", "type", "meaning"), group_rows()),
        *(part for group, members in GROUPS.items() for part in group_parts(group, members)),
    ]
    return "\n\n".join(parts) + "\n"


def group_rows() -> Iterator[tuple[str, ...]]:
    types, said = hints(RunConfig), meanings(RunConfig)
    return ((f"[`{name}`](#{name})", describe(types[name]), said[name]) for name in types)


def group_parts(group: str, members: Sequence[type]) -> Iterator[str]:
    yield f"### {group}"
    if group == "model":
        yield "Families are functions that make a `Transformer` of these settings."
        yield table(("family", "arguments", "what it is"), map(family_row, FAMILIES.values()))
    for cls in members:
        yield f"#### {cls.__name__}"
        yield escaped(paragraph(cls.__doc__))
        if rows := list(field_rows(cls)):
            yield table(("field", "type", "default", "meaning"), rows)


def family_row(target: str) -> tuple[str, ...]:
    """Name, arguments, and what the docstring of its file says."""
    family = load(target)
    names = [str(p).partition(":")[0] for p in inspect.signature(family).parameters.values()]
    said = inspect.getmodule(family).__doc__
    return f"`{family.__name__}`", ", ".join(names).replace("**execution", "dtype, remat, unroll, kernel"), paragraph(said)


def paragraph(docstring: str | None) -> str:
    """The first one, in a line."""
    return " ".join(inspect.cleandoc(docstring or "").split("\n\n")[0].split())


def field_rows(cls: type) -> Iterator[tuple[str, ...]]:
    said = meanings(cls)
    for field in dataclasses.fields(cls):
        if field.init:
            assert field.name in said, f"{cls.__qualname__}.{field.name}: give the field a docstring, it is what people read"
            yield f"`{field.name}`", describe(hints(cls)[field.name]), default(field), said[field.name]


def meanings(cls: type) -> dict[str, str]:
    """Field -> the docstring below it, those of its bases among them."""
    found: dict[str, str] = {}
    for base in reversed([base for base in cls.__mro__ if dataclasses.is_dataclass(base)]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef), "the source of a class is a class"
        for field, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(after.value.value).split())
    return found


def default(field: dataclasses.Field) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    return "needed" if field.default_factory is dataclasses.MISSING else "as its fields have it"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(map(escaped, line))} |" for line in (head, ["---"] * len(head), *rows))


def escaped(text: str) -> str:
    """Text as Markdown shows it: `|` would end a cell, `*` and `<` mean something outside of code."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("*", "\\*").replace("<", "&lt;") for i, part in enumerate(parts))


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    print(f"{TARGET}: {len(TARGET.read_text(encoding='utf-8').splitlines())} lines")
