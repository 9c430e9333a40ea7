"""Which source gives the row at a position: a pure function, the same however often it is asked."""

from collections.abc import Sequence

import numpy as np

from jaxlm.core import ConfigError

SLOTS = 4096
STAGES = 64
"""Steps in which shares that change go from the first to the last, at most."""
FEWEST = 8
"""Positions of a pattern where shares change within a short run."""


class Mixture:
    """Positions shared out among sources.

    With weights, a fixed pattern of `SLOTS` positions, in which each source's places are spread evenly, is repeated
    for ever; sources run at their own pace. Without, each source gives its rows once before any comes again: an
    epoch is the sources' rows one after the other (shuffle the position to mix them).

    With final weights too, shares change in a straight line from the one to the other over `num_rows` positions, in at
    most `STAGES` stages with a pattern each, and stay as they are in the last.

    Args:
      sizes: rows of each source.
      weights: the share of each, any scale; () for their sizes.
      final_weights: the shares at position `num_rows`; () for those of the beginning.

    Raises:
      ConfigError: weights that are no weights, or do not fit the sources.
    """

    def __init__(
        self, sizes: Sequence[int], weights: Sequence[float] = (), final_weights: Sequence[float] = (), num_rows: int | None = None
    ):
        self.sizes = np.array(sizes, np.int64)
        self.weighted = bool(len(weights))
        self._ends = np.cumsum(self.sizes)
        if len(final_weights) and not self.weighted:
            raise ConfigError(f"data.final_weights={tuple(final_weights)}: there is nothing to change from; give data.weights too")
        if self.weighted:
            shares = _shares("weights", self.sizes, weights)
            assert num_rows or not len(final_weights), "shares that change need the number of rows over which they do"
            ends = _shares("final_weights", self.sizes, final_weights) if len(final_weights) else shares
            self._plan(shares, ends, num_rows if len(final_weights) else None)

    def _plan(self, shares: np.ndarray, ends: np.ndarray, num_rows: int | None) -> None:
        """A pattern for each stage [T], and what came before it."""
        self._slots = SLOTS if num_rows is None else min(SLOTS, max(FEWEST, num_rows // STAGES))
        num_patterns = 1 if num_rows is None else -(-num_rows // self._slots)
        T = min(STAGES, num_patterns)
        middles_T = ((np.arange(T) + 0.5) / T)[:, None]
        self._counts = np.stack([_share_out(row, self._slots) for row in shares + (ends - shares) * middles_T])
        self._patterns = np.stack([_spread(counts) for counts in self._counts])
        self._before = np.zeros((T, self._slots), np.int64)  # places of the same source earlier in the pattern
        for stage, counts in enumerate(self._counts):
            for source, count in enumerate(counts):
                self._before[stage, self._patterns[stage] == source] = np.arange(count)
        bounds = np.linspace(0, num_patterns, T + 1).astype(np.int64)
        self._starts = bounds[:-1]
        """The first pattern of each stage."""
        given = np.cumsum(np.diff(bounds)[:, None] * self._counts, axis=0)
        self._given = np.concatenate([np.zeros_like(given[:1]), given[:-1]])
        """Rows that each source gave before each stage."""

    @property
    def realised(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(first, last) shares as they are: those asked for, rounded to the pattern; or the sizes'."""
        counts = self._counts if self.weighted else self.sizes[None]
        first, last = counts[[0, -1]] / np.maximum(1, counts[[0, -1]].sum(1, keepdims=True))
        return tuple(first.tolist()), tuple(last.tolist())

    def locate(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(source, k) of each position (int64, at least 0): it is the k-th row that this source gives."""
        if self.weighted:
            pattern, slot = np.divmod(positions, self._slots)
            stage = self._starts.searchsorted(pattern, "right") - 1
            source = self._patterns[stage, slot]
            again = (pattern - self._starts[stage]) * self._counts[stage, source]
            return source, self._given[stage, source] + again + self._before[stage, slot]
        epoch, place = np.divmod(positions, self._ends[-1])
        source = self._ends.searchsorted(place, "right")
        return source, place - (self._ends - self.sizes)[source] + epoch * self.sizes[source]


def require_one_each(name: str, weights: Sequence[float], num_sources: int) -> None:
    """Raises ConfigError where `data.<name>` has not one number for each source."""
    if len(weights) != num_sources:
        raise ConfigError(
            f"data.{name}={tuple(weights)} has {len(weights)} numbers for {num_sources} sources; give one each, or ()"
        )


def _shares(name: str, sizes: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The weights, checked, as parts of 1."""
    given = f"data.{name}={tuple(weights)}"
    require_one_each(name, weights, len(sizes))
    if not all(0 <= w < float("inf") for w in weights) or not any(weights):
        raise ConfigError(f"{given}: weights must be at least 0, finite, and not all 0")
    for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
        if weight and not size:
            raise ConfigError(f"{given}: source {number} has no row to give; set its weight to 0")
    shares = np.array(weights, float)
    return shares / shares.sum()


def _share_out(shares: np.ndarray, slots: int) -> np.ndarray:
    """Slots by largest remainder; any share above 0 gets one at least."""
    exact = shares * slots
    counts = np.where(shares > 0, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    for i in order[: max(0, slots - counts.sum())]:
        counts[i] += 1
    while counts.sum() > slots:  # many tiny weights were rounded up
        counts[counts.argmax()] -= 1
    return counts


def _spread(counts: np.ndarray) -> np.ndarray:
    """The source of each slot: the j-th of c places of a source lies near (j + 1/2) / c of the pattern."""
    source = np.repeat(np.arange(len(counts)), counts)
    place = np.concatenate([(np.arange(count) + 0.5) / max(1, count) for count in counts])
    return source[np.argsort(place, kind="stable")]
