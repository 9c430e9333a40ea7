"""Plain text files."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxlm.core import ConfigError, Document, RunError, Source
from jaxlm.corpus.files import FoundFile, files_fingerprint, find_files, read_file, stem

SUFFIXES = (".txt", ".md", ".text", ".rst")


@dataclass(frozen=True)
class TextFiles(Source):
    """Text files, one document each; its id is the path below the folder. Line ends stay as they are."""

    path: Path | tuple[Path, ...]
    """A file, a folder (all .txt, .md, .text, .rst within) or a glob, or several; plain, .gz or .bz2."""
    encoding: str = "utf-8"
    """How the files' bytes are to be read."""
    label: str = ""
    """Name of the source; empty: the path's own name."""

    @property
    def name(self) -> str:
        return self.label or stem(self.path)

    def documents(self) -> Iterator[Document]:
        """All files in the order of their ids; a file without text is no document.

        Raises:
          ConfigError: the path is missing or matches nothing, or the encoding is unknown.
          RunError: while iterating, a file is damaged or not in this encoding.
        """
        _check_encoding(self.encoding)
        files = find_files(self.path, SUFFIXES)
        return (Document.of(file.id, text, self.name) for file in files if (text := _read_text(file, self.encoding)))

    def fingerprint(self) -> str:
        return files_fingerprint(find_files(self.path, SUFFIXES), "text", self.encoding)


def _read_text(file: FoundFile, encoding: str) -> str:
    data = read_file(file.path)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RunError(
            f"{file.path} is not {encoding}: {error.reason} at byte {error.start}. "
            "Convert the file, or set the source's encoding (latin-1 reads any bytes)."
        ) from error


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise ConfigError(f"encoding: {encoding!r} is unknown. Allowed are Python's, such as utf-8, utf-16, latin-1.") from error
