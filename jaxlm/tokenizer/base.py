"""What a tokenizer is to the rest of the program, and the settings that make one."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np

from jaxlm.core import Vocab


class Tokenizer(Protocol):
    """Text to ids and back. Ids are those of the text alone: no special token is added, and text cannot forge one."""

    vocab: Vocab

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """ids_N of each text, uint16 where the vocabulary has at most 65,536 ids, else uint32."""
        ...

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """What `encode_batch` gives, and where in its text, in characters, each id ends: int64 [N], never falling. An id that
        ends within a character ends after it."""
        ...

    def decode(self, ids_N: Sequence[int] | np.ndarray) -> str:
        """The text of these ids; special ids are left out."""
        ...

    def pieces(self, ids_N: Sequence[int] | np.ndarray) -> list[str]:
        """How each id is shown to a person, special ids by name (`[MASK]`)."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what `jaxlm.tokenizer.load_tokenizer(folder)` needs to make the same tokenizer (same digest)."""
        ...


class TokenizerConfig:
    """The `tokenizer` group. Extend it with a frozen dataclass; its fields are its settings."""

    def train(self, texts: Callable[[], Iterable[str]]) -> Tokenizer:
        """The tokenizer for these texts; `texts()` starts from the beginning at each call."""
        raise NotImplementedError(f"{type(self).__name__} must define train()")


def marked_text(tokenizer: Tokenizer, ids_N: np.ndarray) -> str:
    """The text of these ids, special ids by name where they stand."""
    texts, end = [], 0
    for special, ids in groupby(ids_N.tolist(), lambda id: bool(tokenizer.vocab.special_V[id])):
        begin, end = end, end + len(list(ids))
        if special:
            texts += tokenizer.pieces(ids_N[begin:end])
        else:  # with what stands before: some tokenizers drop the space at the very start
            texts.append(tokenizer.decode(ids_N[:end])[len(tokenizer.decode(ids_N[:begin])) :])
    return "".join(texts)
