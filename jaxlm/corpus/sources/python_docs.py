"""The running interpreter's own documentation: real text that is on every machine."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxlm.core import Document, Source
from jaxlm.corpus.stdlib import Documented, Module, library_fingerprint, read_modules, read_topics


@dataclass(frozen=True)
class PythonDocs(Source):
    """Python's language reference (one document a topic) and the standard library's docstrings (one a module), about 2 MB.

    Nothing is imported or downloaded; the text is that of the Python that runs.
    """

    @property
    def name(self) -> str:
        return "python-docs"

    def documents(self) -> Iterator[Document]:
        """Topics, then modules, each sorted by name.

        Raises:
          RunError: this Python comes without the sources of its library.
        """
        return (Document.of(id, text, self.name) for id, text in documentation())

    def fingerprint(self) -> str:
        return library_fingerprint("docs 1")


@cache  # 2 MB, and it takes seconds; the library doesn't change while it runs
def documentation(root: Path | None = None) -> tuple[tuple[str, str], ...]:
    """(id, text) of each document."""
    topics = [(f"topics/{topic}", text.strip() + "\n") for topic, text in read_topics(root).items()]
    modules = [(module.name, text) for module in read_modules(root) if (text := module_documentation(module))]
    return (*topics, *modules)


def module_documentation(module: Module) -> str:
    """The docstrings of a module in the order of its source, each under its signature, with blank lines between."""
    entries = documented(module)
    return "\n\n".join(f"{heading}\n{text}" for _, heading, text in entries) + "\n" if entries else ""


def documented(module: Module) -> list[tuple[Documented, str, str]]:
    """(node, signature, docstring) of the module and all in it that has one, in the order of its source."""
    return _entries(module.tree, module.name, f"module {module.name}")


def _entries(node: Documented, name: str, heading: str) -> list[tuple[Documented, str, str]]:
    docstring = ast.get_docstring(node)
    entries = [(node, heading, docstring.strip())] if docstring and docstring.strip() else []
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in _definitions(node):
            entries += _entries(child, f"{name}.{child.name}", _signature(child, name))
    return entries


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The classes and functions right within a node, also those under an if or try."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        elif isinstance(child, ast.stmt | ast.excepthandler):
            yield from _definitions(child)


def _signature(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, parent: str) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return f"class {parent}.{node.name}" + (f"({bases})" if bases else "")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{parent}.{node.name}({ast.unparse(node.args)}){returns}"
