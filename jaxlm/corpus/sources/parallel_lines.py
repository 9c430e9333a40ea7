"""Parallel text in files of lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from jaxlm.core import ConfigError, Document, RunError, Source
from jaxlm.corpus.files import BROKEN, COMPRESSED, FoundFile, files_fingerprint, open_file, stem, unreadable
from jaxlm.corpus.left_out import Invalid, read_each


@dataclass(frozen=True)
class ParallelLines(Source):
    """Files of as many lines each: line i of train.en and line i of train.de are one document of the streams "en" and "de".

    Only line feeds end a line; a carriage return before one is no part of it.
    """

    path: Path
    """What the files' names begin with, `data/train` for data/train.en and data/train.de; each plain, .gz or .bz2."""
    fields: tuple[str, ...]
    """What they end with, at least two: the streams' names, in this order."""
    label: str = ""
    """Name of the source; empty: the path's own name."""
    invalid: Invalid = "error"
    """What becomes of lines one of which is blank or no UTF-8: the run ends, or they are left out and counted."""

    def __post_init__(self) -> None:
        if len(set(self.fields)) < max(2, len(self.fields)):
            raise ConfigError(
                f"fields: {self.fields} was given; wanted are at least two different endings of files, such as ('en', 'de')"
            )

    @property
    def name(self) -> str:
        return self.label or stem(self.path)

    def documents(self) -> Iterator[Document]:
        """All lines in order; their id is the path's own name and the line's number, the first is 1.

        Raises:
          ConfigError: a file is missing.
          RunError: while iterating, a file is damaged, or has not as many lines as the others; a line is blank or no UTF-8, with
            `invalid` "error".
        """
        files = self._files()
        return read_each(_lines(files), partial(self._document, files), self.invalid, self.name, "lines")

    def fingerprint(self) -> str:
        return files_fingerprint(self._files(), "parallel lines", self.fields, self.invalid)

    def _files(self) -> list[FoundFile]:
        return [self._file(field) for field in self.fields]

    def _file(self, field: str) -> FoundFile:
        plain = Path(f"{Path(self.path).expanduser()}.{field}")
        for path in (plain, *(Path(f"{plain}{packed}") for packed in COMPRESSED)):
            if path.is_file():
                return FoundFile(path, path.name)
        raise ConfigError(
            f"path: {plain} does not exist, nor with {' or '.join(COMPRESSED)} after it. Give what the files' names have in "
            f"common, and as fields, now {self.fields}, what they end with"
        )

    def _document(self, files: list[FoundFile], numbered: tuple[int, tuple[bytes, ...]]) -> Document:
        number, lines = numbered
        streams = {}
        for field, file, line in zip(self.fields, files, lines, strict=True):
            where = f"{file.path}, line {number}"
            try:
                streams[field] = line.removesuffix(b"\n").removesuffix(b"\r").decode()
            except UnicodeDecodeError as error:
                raise RunError(
                    f"{where}: no UTF-8: {error.reason} at byte {error.start}. Convert the file, or leave out such "
                    "lines with invalid='skip'"
                ) from error
            if not streams[field].strip():
                raise RunError(f"{where}: blank. Each line needs its counterpart; invalid='skip' leaves out those without")
        return Document(f"{Path(self.path).name}:{number}", streams, self.name)


def _lines(files: list[FoundFile]) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """(number, that line of each file). Raises RunError where one ends before the others, with the lines of all."""
    opened = [_lines_of(file) for file in files]
    for number, lines in enumerate(zip_longest(*opened), 1):
        if None in lines:
            counts = [number - (line is None) + sum(1 for _ in rest) for line, rest in zip(lines, opened, strict=True)]
            told = ", ".join(f"{file.path} has {count:,}" for file, count in zip(files, counts, strict=True))
            raise RunError(f"parallel text needs as many lines in each file: {told}. Mend the one whose lines are not the others'")
        yield number, lines


def _lines_of(file: FoundFile) -> Iterator[bytes]:
    try:
        with open_file(file.path) as lines:
            yield from lines
    except BROKEN as error:
        raise unreadable(file.path, error) from error
