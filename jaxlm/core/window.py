"""What the data room hands to an objective, and what an objective hands back; numpy only."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

Example = dict[str, np.ndarray]
"""One prepared row: `tokens positions segments targets` (int32), `weights` (float32), each [L], and what an objective
adds. Batches stack them and add `row` [B] (int32), each row's position in the run's data, -1 for a padding row."""


class Window(NamedTuple):
    """One stretch of a token store.

    Segments number the documents in the window from 1; 0 is padding. Positions restart at 0 in each segment.
    """

    ids_N: np.ndarray
    segments_N: np.ndarray
    positions_N: np.ndarray
    sentences_N: np.ndarray | None = None
    """True where a sentence starts, if the store kept that."""
    others: "dict[str, Window]" = {}  # noqa: RUF012  (never written to)
    """The other streams of parallel text: segment k of each is the same document."""

    @classmethod
    def empty(cls, length: int, others: Iterable[str] = ()) -> "Window":
        """Padding alone, in the other streams too: what `prepare` is given for a row of weight 0."""
        zeros = np.zeros(length, np.int32)
        return cls(zeros, zeros, zeros, others={name: cls(zeros, zeros, zeros) for name in others})

    @classmethod
    def of(cls, documents: Sequence[np.ndarray], length: int) -> "Window":
        """Documents one after the other; cut, or filled up with padding, to `length`."""
        if not documents:
            return cls.empty(length)
        sizes = [len(ids_N) for ids_N in documents]
        columns = (
            np.concatenate(documents),
            np.repeat(np.arange(1, len(documents) + 1), sizes),
            np.concatenate([np.arange(size) for size in sizes]),
        )
        padded = [np.pad(column[:length], (0, max(0, length - len(column)))).astype(np.int32) for column in columns]
        return cls(padded[0], padded[1], padded[2])

    def cut(self, length: int) -> "Window":
        """Its first tokens, as many as that."""
        sentences_N = None if self.sentences_N is None else self.sentences_N[:length]
        others = {name: other.cut(length) for name, other in self.others.items()}
        return Window(self.ids_N[:length], self.segments_N[:length], self.positions_N[:length], sentences_N, others)

    def documents(self) -> list[np.ndarray]:
        """The ids of each segment, in order."""
        real_N = self.segments_N > 0
        return np.split(self.ids_N[real_N], np.flatnonzero(np.diff(self.segments_N[real_N])) + 1) if real_N.any() else []
