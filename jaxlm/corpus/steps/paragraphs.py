"""Removal of paragraphs that were there before."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from jaxlm.core import Document, Step

BETWEEN = re.compile(r"(\n\s*\n)")
"""One blank line or more, kept by `split`: what stands between paragraphs."""


@dataclass(frozen=True)
class DeduplicateParagraphs(Step):
    """Removes each paragraph that stood before, in the same document or an earlier one of any source.

    Paragraphs are what blank lines separate; they are the same if they differ in white space alone. Afterwards no
    paragraph stands twice, so none stands on both sides of a train/validation split, however that is made. A document of
    several streams cannot lose a part: it is dropped if its first stream repeats a paragraph.
    """

    min_chars: int = 40
    """Shorter paragraphs may repeat."""
    max_lost: float = 0.5
    """A document that loses more than this share of its characters is dropped."""

    def __call__(self, documents: Iterable[Document]) -> Iterator[Document]:
        seen: set[bytes] = set()
        for document in documents:
            text = document.text
            kept, new = self._without_repeats(text, seen)
            lost = len(text) - len(kept)
            allowed = self.max_lost * len(text) if len(document.streams) == 1 else 0
            if lost > allowed or not kept.strip():
                continue
            seen |= new  # only now: what a dropped document said may still be said
            yield document if not lost else document._replace(streams=dict.fromkeys(document.streams, kept))

    def _without_repeats(self, text: str, seen: set[bytes]) -> tuple[str, set[bytes]]:
        """(the text without paragraphs that are in `seen` or repeat, the digests of those that stay)."""
        parts = [*BETWEEN.split(text), ""]
        kept: list[str] = []
        new: set[bytes] = set()
        for paragraph, between in zip(parts[::2], parts[1::2], strict=True):
            if len(paragraph) >= self.min_chars:
                digest = blake2b(" ".join(paragraph.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()
                if digest in seen or digest in new:
                    continue
                new.add(digest)
            kept += (paragraph, between)
        return "".join(kept), new
