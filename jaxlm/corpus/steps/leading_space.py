"""Documents whose first word is spelt as any other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jaxlm.core import Document, Step


@dataclass(frozen=True)
class LeadingSpace(Step):
    """Begins each document with one space, in place of what white space it begins with.

    Tokens bear the space in front of a word, so that the first word of a text has ids of its own, which tell that there it begins.
    SentencePiece puts such a space there unless told not to ("dummy prefix").
    """

    def __call__(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            yield document._replace(streams={name: " " + text.lstrip() for name, text in document.streams.items()})
