"""The running interpreter's functions and what they are for: parallel text that is on every machine."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxlm.core import Document, Source
from jaxlm.corpus.sources.python_docs import documented
from jaxlm.corpus.stdlib import library_fingerprint, read_modules


@dataclass(frozen=True)
class PythonSignatures(Source):
    """Functions and methods of the standard library that have a docstring, one document each: "signature", with module and class
    in front of the name, and "summary", the docstring's first line."""

    @property
    def name(self) -> str:
        return "python-signatures"

    def documents(self) -> Iterator[Document]:
        """Modules sorted by path, each in the order of its source.

        Raises:
          RunError: this Python comes without the sources of its library.
        """
        return (Document(id, {"signature": signature, "summary": text}, self.name) for id, signature, text in summaries())

    def fingerprint(self) -> str:
        return library_fingerprint("signatures 1")


@cache  # it takes seconds; the library doesn't change while it runs
def summaries(root: Path | None = None) -> tuple[tuple[str, str, str], ...]:
    """(id, signature, the docstring's first line) of each; of those of one signature (properties, overloads) the first alone."""
    found: dict[str, tuple[str, str, str]] = {}
    for module in read_modules(root):
        for node, signature, docstring in documented(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.setdefault(signature, (f"{module.id}:{node.lineno}", signature, docstring.splitlines()[0].strip()))
    return tuple(found.values())
