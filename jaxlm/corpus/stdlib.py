"""The standard library of the interpreter that is running, as files and syntax trees; no module of it is imported."""

import ast
import os
import sys
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jaxlm.core import RunError
from jaxlm.corpus.files import FoundFile, files_fingerprint

TOPICS = "pydoc_data/topics.py"
"""The language reference as one dict; it is documentation, not source."""
SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib-dynload", "__phello__"}
"""Folders of test suites, of packages that were installed, and of things that are no text."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """One file of the library that parses."""

    id: str
    """`json/decoder.py`"""
    source: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """`json.decoder`"""
        return self.id.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def library_files(root: Path | None = None) -> tuple[FoundFile, ...]:
    """The library's Python files, sorted, without tests; `root` defaults to the running interpreter's.

    Raises:
      RunError: this interpreter has no sources of its library.
    """
    folder = root or Path(sysconfig.get_path("stdlib"))
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith("config-")]
        files += [Path(parent, name) for name in names if name.endswith(".py") and not name.startswith("_sysconfigdata")]
    if not files:
        raise RunError(
            f"{folder} holds no .py files: this Python comes without its documentation. Use a full CPython, or your own text."
        )
    found = [FoundFile(path, path.relative_to(folder).as_posix()) for path in files]
    return tuple(sorted(found, key=lambda file: file.id))


def library_fingerprint(kind: str) -> str:
    """Digest of the interpreter's version and its files' names and sizes."""
    sizes = [(file.id, file.path.stat().st_size) for file in library_files()]
    return files_fingerprint([], kind, sys.implementation.name, sys.version_info[:], sizes)


def read_modules(root: Path | None = None) -> Iterator[Module]:
    """All modules in order; a file that doesn't parse (templates, broken on purpose) is passed over."""
    for file in library_files(root):
        if file.id == TOPICS:
            continue
        try:
            with tokenize.open(file.path) as opened:  # heeds a coding line
                source = opened.read()
            yield Module(file.id, source, _parse(source))
        except (SyntaxError, ValueError):
            continue


def read_topics(root: Path | None = None) -> dict[str, str]:
    """Topic -> text, sorted; empty where the interpreter comes without."""
    for file in library_files(root):
        if file.id == TOPICS:
            for node in _parse(file.path.read_text("utf-8")).body:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                    return dict(sorted(ast.literal_eval(node.value).items()))
    return {}


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes
        return ast.parse(source)
