"""Documents, and the two things that yield them; the base classes that a recipe's own sources and steps extend."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple


class Document(NamedTuple):
    """One text with its origin. Parallel text has several named streams; all else has one, "text"."""

    id: str
    streams: Mapping[str, str]
    source: str = ""
    """Name of the source it came from."""
    metadata: Mapping[str, Any] = {}

    @classmethod
    def of(cls, id: str, text: str, source: str = "", **metadata: Any) -> "Document":
        """A document of one stream."""
        return cls(id, {"text": text}, source, metadata)

    @property
    def text(self) -> str:
        """The first stream: the one that splits, digests and reports go by."""
        return next(iter(self.streams.values()))


class Source:
    """Where documents come from. Extend it with a frozen dataclass; its fields are its settings."""

    @property
    def name(self) -> str:
        """Short, for tables and messages; unique among a recipe's sources."""
        return type(self).__name__

    def documents(self) -> Iterator[Document]:
        """All documents, in a fixed order, from the start at each call."""
        raise NotImplementedError(f"{type(self).__name__} must define documents()")

    def fingerprint(self) -> str:
        """Changes when the documents would. The default reads them all; override it where something cheaper will do."""
        from hashlib import sha256

        digest = sha256()
        for document in self.documents():
            for stream, text in document.streams.items():
                digest.update(f"{document.id}\0{stream}\0{len(text)}\0".encode())
                digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


class Step:
    """A pure pass over documents: clean, filter, deduplicate. Extend it with a frozen dataclass."""

    def __call__(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents that go on, in order. Steps see all sources of a recipe as one stream."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__()")
