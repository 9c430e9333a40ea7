"""Plain text files."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxlm.core import ConfigError, Document, RunError, Source
from jaxlm.corpus.files import FoundFile, files_fingerprint, find_files, read_file, stem
from jaxlm.corpus.left_out import Invalid, read_each

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
    invalid: Invalid = "error"
    """What becomes of a file that is damaged or not in this encoding: the run ends, or it is left out and counted."""

    @property
    def name(self) -> str:
        return self.label or stem(self.path)

    def documents(self) -> Iterator[Document]:
        """All files in the order of their ids; a file without text is no document.

        Raises:
          ConfigError: the path is missing or matches nothing, or the encoding is unknown.
          RunError: while iterating, a file is damaged or not in this encoding, with `invalid` "error".
        """
        _check_encoding(self.encoding)
        documents = read_each(find_files(self.path, SUFFIXES), self._document, self.invalid, self.name, "files")
        return (document for document in documents if document.text)

    def fingerprint(self) -> str:
        return files_fingerprint(find_files(self.path, SUFFIXES), "text", self.encoding, self.invalid)

    def _document(self, file: FoundFile) -> Document:
        return Document.of(file.id, _read_text(file, self.encoding), self.name)


def _read_text(file: FoundFile, encoding: str) -> str:
    data = read_file(file.path)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RunError(
            f"{file.path} is not {encoding}: {error.reason} at byte {error.start}. "
            "Convert the file, set the source's encoding (latin-1 reads any bytes), or leave such files out with invalid='skip'."
        ) from error


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise ConfigError(f"encoding: {encoding!r} is unknown. Allowed are Python's, such as utf-8, utf-16, latin-1.") from error
