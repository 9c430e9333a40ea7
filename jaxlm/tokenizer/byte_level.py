"""One id a byte of UTF-8."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.tokenizer.base import TokenizerConfig
from jaxlm.tokenizer.folder import write_description
from jaxlm.tokenizer.ids import byte_name, character_ends, join_bytes, make_vocab, spacing, special_names


@dataclass(frozen=True)
class Bytes(TokenizerConfig):
    """The 256 bytes of UTF-8 as ids: nothing to train, any text comes back unchanged."""

    num_sentinels: int = 0
    """Sentinel ids, for span objectives."""

    def train(self, texts: Callable[[], Iterable[str]]) -> "ByteTokenizer":
        """The tokenizer; the texts are not read."""
        return ByteTokenizer(self.num_sentinels)


class ByteTokenizer:
    """Byte b is id b + the number of special ids. A lone surrogate is encoded as its three bytes."""

    def __init__(self, num_sentinels: int = 0):
        self.num_sentinels = num_sentinels
        special = special_names(num_sentinels)
        self._first = len(special)
        self._names = [*special, *map(byte_name, range(256))]
        self._bytes = [b""] * self._first + [bytes([byte]) for byte in range(256)]
        digest = sha256(f"bytes {num_sentinels}".encode()).hexdigest()
        texts = [piece.decode("ascii", "ignore") for piece in self._bytes]
        self.vocab = make_vocab(len(self._names), num_sentinels, digest, spacing_V2=spacing(texts))

    def __reduce__(self) -> tuple[Any, ...]:
        return ByteTokenizer, (self.num_sentinels,)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        encoded = (np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8) for text in texts)
        return [bytes_N.astype(np.uint16) + np.uint16(self._first) for bytes_N in encoded]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        ids = self.encode_batch(texts)
        return [(ids_N, character_ends(text, np.ones(len(ids_N), np.int64))) for text, ids_N in zip(texts, ids, strict=True)]

    def decode(self, ids_N: Sequence[int] | np.ndarray) -> str:
        return join_bytes(self._bytes, ids_N)

    def pieces(self, ids_N: Sequence[int] | np.ndarray) -> list[str]:
        return [self._names[i] for i in np.asarray(ids_N).tolist()]

    def save(self, folder: Path) -> None:
        write_description(folder, "bytes", self.vocab.digest, num_sentinels=self.num_sentinels)

    @classmethod
    def load(cls, folder: Path, num_sentinels: int) -> "ByteTokenizer":
        """The tokenizer that `save` described."""
        return cls(num_sentinels)
