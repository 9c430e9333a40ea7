"""Which text is held out for validation: a pure function of the documents, in two passes over them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from jaxlm.core import ConfigError, Document, RunError
from jaxlm.core.errors import nearest

FEW = 100
"""Under so many documents of a source, "auto" holds out its tail."""


@dataclass
class Measure:
    """What the first pass finds out about a source. Digests are numbers in [0, 1)."""

    num_documents: int = 0
    num_chars: int = 0
    num_held_out: int = 0
    """Documents whose digest lies below the fraction."""
    smallest: float = 2.0
    largest: float = -1.0

    def add(self, document: Document, fraction: float) -> None:
        digest = _digest(document)
        self.num_documents += 1
        self.num_chars += len(document.text)
        self.num_held_out += digest < fraction
        self.smallest, self.largest = min(self.smallest, digest), max(self.largest, digest)


def split_documents(
    read: Callable[[], Iterable[Document]],
    how: Literal["auto", "hash", "tail"] = "auto",
    fraction: float = 0.1,
    held_out: Collection[str] = (),
) -> Iterator[tuple[Document, bool]]:
    """Each document with True if it is for validation. Both sides of each source hold text, and no text is on both.

    - "hash": about `fraction` of the documents, by the SHA-256 of their first stream, so exact duplicates stay together;
      where that takes none, the smallest digest.
    - "tail": of each source, what lies after the first int(num_chars * (1 - fraction)) characters. The document on the
      border is cut in two, `id` and `id#tail`; one of several streams stays whole and is held out.
    - "auto": "tail" for a source of under 100 documents, else "hash". A source of one document is split by its tail always.

    Args:
      read: gives the documents from the start at each call, the same each time.
      held_out: names of the sources that are held out from; empty: all. The others are for training alone.

    Raises:
      ConfigError: `how` or `fraction` is not allowed, or `held_out` names no source.
      RunError: a source has too little text to be split.
    """
    if how not in ("auto", "hash", "tail"):
        raise ConfigError(f"data.split: {how!r} is unknown.{nearest(how, ('auto', 'hash', 'tail'))}")
    if not 0 < fraction < 1:
        raise ConfigError(f"data.validation_fraction: {fraction} is not between 0 and 1. Usual is 0.1.")
    measures: dict[str, Measure] = {}
    for document in read():
        measures.setdefault(document.source, Measure()).add(document, fraction)
    for name in held_out:
        if name not in measures:
            raise ConfigError(f"data.validation_sources: {name!r} is no source with text.{nearest(name, measures)}")
    if not measures:
        raise RunError("The sources and steps leave no document to train on. Check the paths, and what the steps remove.")
    chosen = held_out or measures
    splitters = {name: _splitter(name, measure, how, fraction) for name, measure in measures.items() if name in chosen}
    return _split(read(), splitters)


Splitter = Callable[[Document], list[tuple[Document, bool]]]


def _split(documents: Iterable[Document], splitters: dict[str, Splitter]) -> Iterator[tuple[Document, bool]]:
    for document in documents:
        splitter = splitters.get(document.source)
        yield from splitter(document) if splitter else [(document, False)]


def _splitter(name: str, measure: Measure, how: str, fraction: float) -> Splitter:
    if measure.num_documents == 1 or how == "tail" or (how == "auto" and measure.num_documents < FEW):
        return _by_tail(name, measure, fraction)
    if measure.smallest == measure.largest:
        raise RunError(
            f"Source {name!r}: its {measure.num_documents} documents are all the same text, "
            "which cannot be on both sides of the split. Give more text, or leave the source out of data.validation_sources."
        )
    return _by_digest(measure, fraction)


def _by_digest(measure: Measure, fraction: float) -> Splitter:
    def split(document: Document) -> list[tuple[Document, bool]]:
        digest = _digest(document)
        if measure.num_held_out == 0:
            return [(document, digest == measure.smallest)]
        return [(document, digest < fraction and (measure.num_held_out < measure.num_documents or digest != measure.largest))]

    return split


def _by_tail(name: str, measure: Measure, fraction: float) -> Splitter:
    border = int(measure.num_chars * (1 - fraction))
    if not 0 < border < measure.num_chars:
        raise RunError(
            f"Source {name!r} has {measure.num_chars} characters, too few to hold out {fraction:.0%} of them. "
            "Give more text, or leave the source out of data.validation_sources."
        )
    position = 0
    seen = 0

    def split(document: Document) -> list[tuple[Document, bool]]:
        nonlocal position, seen
        at = border - position  # characters of this document that are for training
        position += len(document.text)
        seen += 1
        if not 0 < at < len(document.text):
            return [(document, at <= 0)]
        if len(document.streams) > 1:
            return [(document, _whole_is_held_out(name, measure, seen))]
        ((stream, text),) = document.streams.items()
        head = document._replace(streams={stream: text[:at]})
        tail = document._replace(id=f"{document.id}#tail", streams={stream: text[at:]})
        return [(head, False), (tail, True)]

    return split


def _whole_is_held_out(name: str, measure: Measure, number: int) -> bool:
    """For the document of several streams on the border, the `number`-th: all but the first can be held out."""
    if measure.num_documents == 1:
        raise RunError(f"Source {name!r} has one document of several streams, which cannot be cut. Give at least two.")
    return number > 1


def _digest(document: Document) -> float:
    data = document.text.encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(data).digest()[:6], "big") / 2**48
