"""What the rest of the program may know of a tokenizer."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

ENDS = ("bos", "eos")
"""What stands at the ends of a document in a token store."""


class Gaps(NamedTuple):
    """How an encoder-decoder is asked for what is missing in a text."""

    start: tuple[int, ...]
    """Ids that the encoder reads in front of the text."""
    marks: tuple[int, ...]
    """Ids that stand for the gaps, in their order."""


class Reading(NamedTuple):
    """How a trained model is given texts: what of its objective it is used by."""

    prefix: bool
    """Whether it learnt to read the beginning of a text both ways: it then reads prompts so."""
    ends: tuple[str, str]
    """What stood at the ends of a text, by the names of `Vocab`, where it learnt to fill gaps: texts are given to it so."""
    gaps: Gaps | None
    """How it is asked for what is missing in a text, where its decoder learnt to write that; None: it did not."""


@dataclass(frozen=True, eq=False)
class Vocab:
    """Ids and marks of a tokenizer. `None`: the tokenizer has no such token."""

    size: int
    digest: str
    """Hex SHA-256 of everything that decides how text becomes ids."""
    pad: int
    bos: int
    eos: int
    unk: int | None = None
    mask: int | None = None
    cls: int | None = None
    sep: int | None = None
    sentinels: tuple[int, ...] = ()
    special_V: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    """True for ids that stand for no text: never masked, never drawn as noise."""
    starts_word_V: np.ndarray | None = None
    """True for ids that begin a word, by the tokenizer's own marks."""
    spacing_V2: np.ndarray | None = None
    """How much white space an id's text begins and ends with: 0 none, 1 some within a line, 2 a line's end, 3 an empty line; -1:
    it is nothing but white space. None: unknown."""

    def framed(self, ids_N: np.ndarray, ends: tuple[str, str] = ENDS) -> np.ndarray:
        """A text's ids between these two tokens, int32."""
        first, last = (getattr(self, end) for end in ends)
        return np.concatenate([[first], ids_N, [last]]).astype(np.int32)
