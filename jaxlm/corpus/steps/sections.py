"""Long documents as several."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from jaxlm.core import ConfigError, Document, Step
from jaxlm.core.errors import require_at_least
from jaxlm.corpus.steps.paragraphs import BETWEEN

CUTS = {"blank lines": BETWEEN, "line ends": re.compile(r"((?:[^\S\n]*\n)+)")}


@dataclass(frozen=True)
class Sections(Step):
    """Cuts each document between paragraphs into documents of at most so many characters; a longer paragraph is one of its own.

    For objectives that set a text against another document's, where all text is one file or a few books. The parts' ids are the
    document's with `#1`, `#2`, ... behind, where there are several. White space at the end of a part, and of a document that stays
    whole, is left out: it would show that there it ends. Parallel text stays whole.
    """

    max_chars: int = 20_000
    """Characters of the longest part, as far as paragraphs allow."""
    at: Literal["blank lines", "line ends"] = "blank lines"
    """What ends a paragraph: of text whose lines are broken a blank line, of text that has each on a line of its own its end."""

    def __post_init__(self) -> None:
        if self.at not in CUTS:
            raise ConfigError(f"data.steps: Sections.at={self.at!r} is unknown; choose one of 'blank lines' and 'line ends'")
        require_at_least(1, "data.steps: Sections", self, "max_chars")

    def __call__(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            if len(document.streams) > 1:
                yield document
                continue
            text = document.text.rstrip()
            parts = [text] if len(text) <= self.max_chars else [part for part in self._parts(text) if part]
            for number, part in enumerate(parts, 1):
                name = document.id if len(parts) == 1 else f"{document.id}#{number}"
                yield document._replace(id=name, streams=dict.fromkeys(document.streams, part))

    def _parts(self, text: str) -> Iterator[str]:
        begin = end = 0
        for paragraph in [*(match.end() for match in CUTS[self.at].finditer(text)), len(text)]:
            if paragraph - begin > self.max_chars and end > begin:
                yield text[begin:end].rstrip()
                begin = end
            end = paragraph
        if end > begin:
            yield text[begin:end].rstrip()
