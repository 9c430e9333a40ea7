"""One id a character."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.core import RunError
from jaxlm.tokenizer.base import TokenizerConfig
from jaxlm.tokenizer.folder import write_description
from jaxlm.tokenizer.ids import id_dtype, make_vocab, spacing, special_names


@dataclass(frozen=True)
class Characters(TokenizerConfig):
    """The characters of the training text, each an id of its own; any other becomes `<unk>`."""

    num_sentinels: int = 0
    """Sentinel ids, for span objectives."""

    def train(self, texts: Callable[[], Iterable[str]]) -> "CharacterTokenizer":
        """The tokenizer of all characters that occur.

        Raises:
          RunError: there is no text.
        """
        alphabet: set[str] = set()
        for text in texts():
            alphabet.update(text)
        if not alphabet:
            raise RunError("tokenizer: there is no text to take characters from. Check data.sources.")
        return CharacterTokenizer("".join(sorted(alphabet)), self.num_sentinels)


class CharacterTokenizer:
    """Ids after the special ones, in the order of `alphabet`, which is sorted by code point."""

    def __init__(self, alphabet: str, num_sentinels: int = 0):
        assert list(alphabet) == sorted(set(alphabet)), "the alphabet is sorted, each character once"
        self.alphabet, self.num_sentinels = alphabet, num_sentinels
        self._names = [*special_names(num_sentinels), *alphabet]
        self._first = len(self._names) - len(alphabet)
        digest = sha256(f"characters {num_sentinels} {alphabet}".encode("utf-8", "surrogatepass")).hexdigest()
        self.vocab = make_vocab(len(self._names), num_sentinels, digest, spacing_V2=spacing([""] * self._first + list(alphabet)))
        codes = _codes(alphabet)
        assert self.vocab.unk is not None
        self._id_of_code = np.full(int(codes[-1]) + 2, self.vocab.unk, id_dtype(self.vocab.size))  # the last: any higher code
        self._id_of_code[codes] = np.arange(self._first, self.vocab.size)

    def __reduce__(self) -> tuple[Any, ...]:
        return CharacterTokenizer, (self.alphabet, self.num_sentinels)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        last = len(self._id_of_code) - 1
        return [self._id_of_code[np.minimum(_codes(text), last)] for text in texts]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(ids_N, np.arange(1, len(ids_N) + 1)) for ids_N in self.encode_batch(texts)]

    def decode(self, ids_N: Sequence[int] | np.ndarray) -> str:
        return "".join([self._names[i] for i in np.asarray(ids_N).tolist() if i >= self._first])

    def pieces(self, ids_N: Sequence[int] | np.ndarray) -> list[str]:
        return [self._names[i] for i in np.asarray(ids_N).tolist()]

    def save(self, folder: Path) -> None:
        write_description(folder, "characters", self.vocab.digest, alphabet=self.alphabet, num_sentinels=self.num_sentinels)

    @classmethod
    def load(cls, folder: Path, alphabet: str, num_sentinels: int) -> "CharacterTokenizer":
        """The tokenizer that `save` described."""
        return cls(alphabet, num_sentinels)


def _codes(text: str) -> np.ndarray:
    """Code points, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
