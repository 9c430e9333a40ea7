"""Files with one JSON object a line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxlm.core import Document, RunError, Source
from jaxlm.corpus.files import BROKEN, FoundFile, files_fingerprint, find_files, open_file, stem, unreadable
from jaxlm.corpus.left_out import Invalid, read_each
from jaxlm.corpus.records import record_id, text_streams

SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class JsonLines(Source):
    """Lines of JSON, one document each. Blank lines are passed over."""

    path: Path | tuple[Path, ...]
    """A file, a folder (all .jsonl, .ndjson within) or a glob, or several; plain, .gz or .bz2."""
    field: str = "text"
    """Key of the text."""
    fields: tuple[str, ...] = ()
    """Keys of several named streams (parallel text), in place of `field`."""
    id_field: str | None = None
    """Key of the document's id; None: the file's path below the folder and the line number."""
    label: str = ""
    """Name of the source; empty: the path's own name."""
    invalid: Invalid = "error"
    """What becomes of a line that is no object with these fields: the run ends, or it is left out and counted."""

    @property
    def name(self) -> str:
        return self.label or stem(self.path)

    def documents(self) -> Iterator[Document]:
        """All lines, files in the order of their paths below the folder.

        Raises:
          ConfigError: the path is missing or matches nothing.
          RunError: while iterating, a file is damaged, or a line is no object with these fields, with `invalid` "error".
        """
        lines = (line for file in find_files(self.path, SUFFIXES) for line in _lines(file))
        return read_each(lines, self._document, self.invalid, self.name, "lines")

    def fingerprint(self) -> str:
        return files_fingerprint(find_files(self.path, SUFFIXES), "jsonl", self.field, self.fields, self.id_field, self.invalid)

    def _document(self, numbered: tuple[FoundFile, int, bytes]) -> Document:
        file, number, line = numbered
        where = f"{file.path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:  # broken JSON or broken UTF-8
            raise RunError(
                f"{where}: no JSON ({error}). Each line must be one object with the key {self.field!r}; invalid='skip' leaves out "
                "those that are not."
            ) from error
        if not isinstance(record, dict):
            raise RunError(f"{where}: a JSON {type(record).__name__} where an object with the key {self.field!r} is wanted.")
        streams = text_streams(record, self.field, self.fields, where)
        id = f"{file.id}:{number}" if self.id_field is None else record_id(record, self.id_field, where)
        return Document(id, streams, self.name)


def _lines(file: FoundFile) -> Iterator[tuple[FoundFile, int, bytes]]:
    """(file, number, line) of each line that is not blank; the first number is 1."""
    try:
        with open_file(file.path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield file, number, line
    except BROKEN as error:
        raise unreadable(file.path, error) from error
