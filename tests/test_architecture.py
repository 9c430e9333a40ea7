"""No room imports one above it; imports are absolute."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import jaxlm

PACKAGE = Path(jaxlm.__file__).parent

BELOW = {"core": ""}
"""Room -> the rooms that it may import."""
for _room, _below in {
    "corpus": "core",
    "tokenizer": "core",
    "data": "core tokenizer",
    "kernels": "core",
    "models": "core kernels",
    "objectives": "core kernels",
    "optim": "core",
    "parallel": "core",
    "checkpoint": "core parallel",
}.items():
    BELOW[_room] = _below
BELOW["train"] = " ".join(BELOW)
_above_generate = f"{BELOW['train']} train"
for _room in ("generate", "laws", "evaluate", "tasks", "report"):
    BELOW[_room] = " ".join(BELOW)
for _room in ("interop", "plan"):
    BELOW[_room] = _above_generate
BELOW["run"] = " ".join(BELOW)
BELOW["cli"] = " ".join(BELOW)
DOOR = {"cli": {""}}
"""Who may import `jaxlm` itself, which leads up to `run`."""

AS_TYPES = {"objectives": "models"}
"""What a room may name for the type checker alone, under `if TYPE_CHECKING`."""


def faults(path: Path, package: Path) -> list[str]:
    """`FILE:LINE: what is wrong` for each import of the file."""
    inner = path.relative_to(package).parts
    if len(inner) == 1:  # jaxlm/__init__.py: the door, which opens the rooms lazily
        return [f"{path}:{line}: {target} is relative" for line, target, _ in imports(path) if target.startswith(".")]
    room = inner[0]
    found = []
    for line, target, for_types in imports(path):
        allowed = {room, *DOOR.get(room, ()), *BELOW.get(room, "").split(), *(AS_TYPES.get(room, "").split() if for_types else ())}
        if target.startswith("."):
            found.append(f"{path}:{line}: {target} is relative")
        elif target.partition(".")[0] == "jaxlm" and [*target.split("."), ""][1] not in allowed:
            found.append(f"{path}:{line}: {room}/ may not import {target}")
    return found


def imports(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line, what is imported, whether for the type checker alone), look-up strings `"jaxlm.room.module:attr"` among them."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for statement in guard.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            targets = ["." * node.level + (node.module or "")]
        elif isinstance(node, ast.ImportFrom):
            targets = [f"jaxlm.{alias.name}" for alias in node.names] if node.module == "jaxlm" else [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"jaxlm(\.\w+)+:\w+", node.value):
            targets = [node.value.partition(":")[0]]
        else:
            continue
        for target in targets:
            yield node.lineno, target, id(node) in for_types


def test_no_arrow_goes_up():
    found = [fault for path in sorted(PACKAGE.rglob("*.py")) for fault in faults(path, PACKAGE)]
    assert not found, "\n".join(found)


def test_every_folder_is_a_room_of_the_table():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))} - {"configs"}
    assert rooms <= set(BELOW), f"no row of the table says what these may import: {rooms - set(BELOW)}"


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("core/a.py", "import jaxlm.run.config", "core/ may not import jaxlm.run.config"),
        ("core/a.py", "def f():\n    from jaxlm.data import x", "core/ may not import jaxlm.data"),
        ("data/a.py", "from jaxlm import corpus", "data/ may not import jaxlm.corpus"),
        ("data/a.py", "import jaxlm", "data/ may not import jaxlm"),
        ("data/a.py", "from . import b", ". is relative"),
        ("data/a.py", "from ..run import b", "..run is relative"),
        ("models/a.py", "TABLE = {'x': 'jaxlm.train.loop:train'}", "models/ may not import jaxlm.train.loop"),
        ("objectives/a.py", "from jaxlm.models import x", "objectives/ may not import jaxlm.models"),
        ("generate/a.py", "from jaxlm.evaluate import x", "generate/ may not import jaxlm.evaluate"),
        ("plan/a.py", "from jaxlm.generate import x", "plan/ may not import jaxlm.generate"),
        ("run/a.py", "from jaxlm.cli.main import x", "run/ may not import jaxlm.cli.main"),
        ("__init__.py", "from .run import x", ".run is relative"),
        ("objectives/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from jaxlm.models import x", None),
        ("data/a.py", "import numpy\nfrom jaxlm.tokenizer.base import x\nfrom jaxlm.data import y", None),
        ("tasks/a.py", "from jaxlm.evaluate import x", None),
        ("run/a.py", "from jaxlm.report import x", None),
    ],
)
def test_the_reader_itself(tmp_path, file, text, fault):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    line = text.count("\n") + 1
    assert faults(path, tmp_path) == ([f"{path}:{line}: {fault}"] if fault else [])
