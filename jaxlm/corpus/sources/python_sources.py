"""The running interpreter's standard library as source text, without its documentation."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

from jaxlm.core import Document, Source
from jaxlm.corpus.stdlib import Documented, Module, library_fingerprint, read_modules


@dataclass(frozen=True)
class PythonSources(Source):
    """The standard library's sources (one document a module, about 9 MB) without docstrings, so that nothing in them is in
    `PythonDocs` too; comments stay."""

    @property
    def name(self) -> str:
        return "python-sources"

    def documents(self) -> Iterator[Document]:
        """Modules, sorted by path.

        Raises:
          RunError: this Python comes without the sources of its library.
        """
        return (Document.of(id, text, self.name) for id, text in sources())

    def fingerprint(self) -> str:
        return library_fingerprint("sources 1")


@cache  # 9 MB, and it takes seconds; the library doesn't change while it runs
def sources(root: Path | None = None) -> tuple[tuple[str, str], ...]:
    """(id, text) of each document."""
    return tuple((module.id, text) for module in read_modules(root) if (text := without_docstrings(module)).strip())


def without_docstrings(module: Module) -> str:
    """The source with each docstring's lines cut out; `pass` stands where a body would be empty."""
    data = module.source.encode("utf-8", "surrogatepass")  # syntax trees count columns in bytes
    lines = [0, *accumulate(len(line) + 1 for line in data.split(b"\n"))]
    kept, end = [], 0
    for docstring, alone in sorted(_docstrings(module.tree), key=lambda found: (found[0].lineno, found[0].col_offset)):
        start = lines[docstring.lineno - 1] + docstring.col_offset
        stop = lines[docstring.end_lineno - 1] + docstring.end_col_offset  # type: ignore[operator]
        needed = alone or data[stop:].lstrip(b" \t")[:1] == b";"
        if not needed:
            start, stop = _whole_lines(data, start, stop)
        kept += [data[end:start], b"pass" if needed else b""]
        end = stop
    return b"".join([*kept, data[end:]]).decode("utf-8", "surrogatepass")


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.Expr, bool]]:
    """(docstring, whether the body that it begins needs something in its place)."""
    for node in ast.walk(tree):
        if isinstance(node, Documented) and node.body and isinstance(first := node.body[0], ast.Expr):
            value = first.value.value if isinstance(first.value, ast.Constant) else None
            if isinstance(value, str):
                yield first, len(node.body) == 1 and not isinstance(node, ast.Module)


def _whole_lines(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """The range widened to whole lines and the blank lines after it, if nothing else stands on its lines."""
    line = data.rfind(b"\n", 0, start) + 1
    rest = len(data) if (newline := data.find(b"\n", stop)) < 0 else newline + 1
    if data[line:start].strip() or data[stop:rest].strip():
        return start, stop
    while rest < len(data) and (newline := data.find(b"\n", rest)) >= 0 and not data[rest:newline].strip():
        rest = newline + 1
    return line, rest
