"""The rows of a run, prepared: row p is a pure function of the integer p."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np

from jaxlm.core import Example, RunError, Vocab, Window
from jaxlm.core.noise import LazyGenerator, host_generator
from jaxlm.data.mixture import Mixture
from jaxlm.data.shuffle import permute
from jaxlm.data.windows import WindowReader

ALL_SOURCES = -1
PAIR_TRIES = 100
"""Draws of a window of another document; after them all are looked through, for text that is nearly one document."""
PADDING = -1


class Preparer(Protocol):
    """What is asked of an objective here."""

    num_windows: int
    overlap: int

    def raw_length(self, seq_len: int) -> int: ...

    def prepare(self, windows: tuple[Window, ...], rng: Any, vocab: Vocab, seq_len: int) -> Example: ...

    def weights(self, batch: Example) -> Mapping[str, Any]: ...


def padding_row(objective: Preparer, vocab: Vocab, seq_len: int, seed: int, streams: Sequence[str]) -> Example:
    """A row of weight 0, made of empty windows of text with these streams; it has the fields, lengths and number formats of all
    rows."""
    empty = Window.empty(objective.raw_length(seq_len), streams[1:])
    rng: Any = LazyGenerator(seed, "prepare", PADDING)
    return objective.prepare((empty,) * objective.num_windows, rng, vocab, seq_len)


class Examples:
    """All rows: shuffled, repeated and mixed by weights; or, with `shuffle=False`, in order.

    Args:
      readers: one a source, in the order of `weights`.
      objective: prepares rows; its `raw_length(seq_len)` is the readers'.
      seed: decides the order and the noise of each row.
      weights: share of the rows that each source gives; (): each by its size, every row once an epoch.
      final_weights, num_rows_total: the shares that it comes to at row `num_rows_total`; (): they stay as they are.

    Raises:
      ConfigError: weights do not fit the sources.
      RunError: there is no row.
    """

    def __init__(
        self,
        readers: Sequence[WindowReader],
        objective: Preparer,
        vocab: Vocab,
        *,
        seq_len: int,
        seed: int,
        weights: Sequence[float] = (),
        final_weights: Sequence[float] = (),
        num_rows_total: int | None = None,
        shuffle: bool = True,
    ):
        self.readers = tuple(readers)
        self.objective, self.vocab = objective, vocab
        self.seq_len, self.seed, self.shuffle = seq_len, seed, shuffle
        self.mixture = Mixture([len(reader) for reader in readers], weights, final_weights, num_rows_total)
        self.num_rows = int(self.mixture.sizes.sum())
        """Rows of one epoch: each row of each source once."""
        if not self.num_rows:
            raise RunError("the sources hold no text to make a row of; check data.sources and data.split")

    def locate(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(source, index, epoch) of each position (at least 0): window `index` of that source, seen for the
        `epoch`-th time before."""
        positions = np.asarray(positions, np.int64)
        if self.shuffle and not self.mixture.weighted:  # one shuffle over all sources
            epoch, place = np.divmod(positions, self.num_rows)
            positions = epoch * self.num_rows + self._shuffled(place, self.num_rows, ALL_SOURCES, epoch)
        source, k = self.mixture.locate(positions)
        epoch, index = np.divmod(k, self.mixture.sizes[source])
        if self.shuffle and self.mixture.weighted:
            for s in np.unique(source).tolist():
                chosen = source == s
                index[chosen] = self._shuffled(index[chosen], int(self.mixture.sizes[s]), s, epoch[chosen])
        return source, index, epoch

    def _shuffled(self, index: np.ndarray, n: int, source: int, epoch: np.ndarray) -> np.ndarray:
        """Each index in the order of its own epoch."""
        out = np.empty_like(index)
        for e in np.unique(epoch).tolist():
            chosen = epoch == e
            out[chosen] = permute(index[chosen], n, self.seed, source, e)
        return out

    def row(self, position: int) -> Example:
        """The row at a position, with `row`, its position modulo 2**31 (int32); -1 is a padding row."""
        return {name: values[0] for name, values in self.batch(np.array([position])).items()}

    def batch(self, positions: np.ndarray) -> Example:
        """Rows stacked, C-contiguous, with `row` (int32 [B]); -1 stands for a padding row."""
        positions = np.asarray(positions, np.int64)
        real = positions != PADDING
        places = iter(zip(*(a.tolist() for a in self.locate(positions[real])), strict=True))
        rows = [self._prepare(p, next(places) if p != PADDING else None) for p in positions.tolist()]
        stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        stacked["row"] = np.where(real, positions % 2**31, PADDING).astype(np.int32)
        return stacked

    def windows(self, position: int) -> tuple[Window, ...]:
        """What the objective is given for the row at a position."""
        return self._windows(position, *(int(a[0]) for a in self.locate(np.array([position]))))

    def window_numbers(self, position: int) -> list[int]:
        """The numbers, in the row's own source, of those windows."""
        return self._numbers(position, *(int(a[0]) for a in self.locate(np.array([position]))))

    def _prepare(self, position: int, place: tuple[int, int, int] | None) -> Example:
        if place is None:
            return padding_row(self.objective, self.vocab, self.seq_len, self.seed, self.readers[0].streams)
        rng: Any = LazyGenerator(self.seed, "prepare", position)
        return self.objective.prepare(self._windows(position, *place), rng, self.vocab, self.seq_len)

    def _windows(self, position: int, source: int, index: int, epoch: int) -> tuple[Window, ...]:
        reader = self.readers[source]
        return tuple(reader.window(i) for i in self._numbers(position, source, index, epoch))

    def _numbers(self, position: int, source: int, index: int, epoch: int) -> list[int]:
        reader = self.readers[source]
        chosen = [reader.number(index, epoch)]
        if self.objective.num_windows > 1:
            chosen += self._partners(reader, chosen[0], position)
        return chosen

    def _partners(self, reader: WindowReader, index: int, position: int) -> list[int]:
        """Windows of other documents of the same source, drawn by the row's key."""
        rng = host_generator(self.seed, "partners", position)
        taken = reader.document_numbers(index)
        partners: list[int] = []
        for i in chain(rng.integers(len(reader), size=PAIR_TRIES).tolist(), range(len(reader))):
            if len(partners) == self.objective.num_windows - 1:
                break
            if taken.isdisjoint(documents := reader.document_numbers(i)):
                taken |= documents
                partners.append(i)
        if len(partners) < self.objective.num_windows - 1:
            raise RunError(
                f"source {reader.part.source!r}: no window of another document was found for the window of document "
                f"{reader.documents(index)[0].id!r}; {type(self.objective).__name__} needs text of several documents"
            )
        return partners
