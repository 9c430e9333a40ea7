"""A tokenizer, objectives and documents small enough to reason about; importable in data workers too."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlm.core import Document, Vocab, Window
from jaxlm.data import Examples, Store, WindowReader, pack

BOS, EOS = 256, 257


class ByteTokenizer:
    """One id a byte; counts its calls and can fail at one of them."""

    def __init__(self, size: int = 258, digest: str = "bytes", fail_at: int | None = None):
        self.vocab = Vocab(size=size, digest=digest, pad=BOS, bos=BOS, eos=EOS)
        self.dtype = np.uint16 if size <= 2**16 else np.uint32
        self.num_texts = 0
        self.fail_at = fail_at

    def encode_batch(self, texts):
        if self.fail_at is not None and self.num_texts + len(texts) > self.fail_at:
            raise RuntimeError("the power went out")
        self.num_texts += len(texts)
        return [np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(self.dtype) for text in texts]


@dataclass(frozen=True)
class Next:
    """Causal preparation, in the words of the architecture."""

    num_windows: int = 1
    overlap: int = 1

    def raw_length(self, seq_len: int) -> int:
        return seq_len + 1

    def prepare(self, windows: tuple[Window, ...], rng: Any, vocab: Vocab, seq_len: int):
        ids_N, segments_N, positions_N, *_ = windows[0]
        same = (segments_N[:-1] == segments_N[1:]) & (segments_N[1:] > 0)
        return {
            "tokens": ids_N[:-1],
            "positions": positions_N[:-1],
            "segments": segments_N[:-1],
            "targets": ids_N[1:],
            "weights": same.astype(np.float32),
            "noise": rng.integers(2**31, size=2),
        }


@dataclass(frozen=True)
class Pair:
    """Two windows side by side."""

    num_windows: int = 2
    overlap: int = 0

    def raw_length(self, seq_len: int) -> int:
        return seq_len

    def prepare(self, windows: tuple[Window, ...], rng: Any, vocab: Vocab, seq_len: int):
        first, second = windows
        return {"tokens": first.ids_N, "partner": second.ids_N}


@dataclass(frozen=True)
class Faulty(Next):
    """Fails at one row; stops its process at another."""

    def prepare(self, windows, rng, vocab, seq_len):
        raise ValueError("this row cannot be prepared")


def texts(count: int, seed: int = 0, longest: int = 60) -> list[str]:
    """Texts of random lengths, some empty, some of more than ASCII."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghij Ωé\n"))
    return ["".join(rng.choice(letters, int(rng.integers(longest)))) for _ in range(count)]


def items(count: int, source: str = "books", seed: int = 0, longest: int = 60):
    """Pairs (document, held out), every fifth held out."""
    return [(Document.of(f"{source}/{i}", text, source), i % 5 == 4) for i, text in enumerate(texts(count, seed, longest))]


def examples_of(store: Store, objective, *, seq_len: int, kind="windows", split="train", **settings) -> Examples:
    """Examples over all sources of a split."""
    raw_length = objective.raw_length(seq_len)
    parts = [store.part(split, source) for source in store.sources(split)]
    readers = [WindowReader(part, pack(part, kind, raw_length, objective.overlap), raw_length) for part in parts]
    return Examples(readers, objective, ByteTokenizer().vocab, seq_len=seq_len, **{"seed": 0, **settings})
