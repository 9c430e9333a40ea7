"""Which source gives the row at a position: a pure function, the same however often it is asked."""

from collections.abc import Sequence

import numpy as np

from jaxlm.core import ConfigError

SLOTS = 4096


class Mixture:
    """Positions shared out among sources.

    With weights, a fixed pattern of `SLOTS` positions, in which each source's places are spread evenly, is repeated
    for ever; sources run at their own pace. Without, each source gives its rows once before any comes again: an
    epoch is the sources' rows one after the other (shuffle the position to mix them).

    Args:
      sizes: rows of each source.
      weights: the share of each, any scale; () for their sizes.

    Raises:
      ConfigError: weights that are no weights, or do not fit the sources.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float] = ()):
        self.sizes = np.array(sizes, np.int64)
        self.weighted = bool(len(weights))
        self._ends = np.cumsum(self.sizes)
        if self.weighted:
            _check(self.sizes, weights)
            self._counts = _share_out(np.array(weights, float), SLOTS)
            self._pattern = _spread(self._counts)
            before = np.zeros(SLOTS, np.int64)  # places of the same source earlier in the pattern
            for source, count in enumerate(self._counts):
                before[self._pattern == source] = np.arange(count)
            self._before = before

    @property
    def realised(self) -> tuple[float, ...]:
        """The shares as they are: those asked for, rounded to the pattern; or the sizes'."""
        counts = self._counts if self.weighted else self.sizes
        return tuple((counts / max(1, counts.sum())).tolist())

    def locate(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(source, k) of each position (int64, at least 0): it is the k-th row that this source gives."""
        if self.weighted:
            patterns, slots = np.divmod(positions, SLOTS)
            source = self._pattern[slots]
            return source, patterns * self._counts[source] + self._before[slots]
        epoch, place = np.divmod(positions, self._ends[-1])
        source = self._ends.searchsorted(place, "right")
        return source, place - (self._ends - self.sizes)[source] + epoch * self.sizes[source]


def _check(sizes: np.ndarray, weights: Sequence[float]) -> None:
    if len(weights) != len(sizes):
        raise ConfigError(
            f"data.weights={tuple(weights)} has {len(weights)} numbers for {len(sizes)} sources; give one each, or ()"
        )
    if not all(0 <= w < float("inf") for w in weights) or not any(weights):
        raise ConfigError(f"data.weights={tuple(weights)}: weights must be at least 0, finite, and not all 0")
    for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
        if weight and not size:
            raise ConfigError(f"data.weights={tuple(weights)}: source {number} has no row to give; set its weight to 0")


def _share_out(weights: np.ndarray, slots: int) -> np.ndarray:
    """Slots by largest remainder; any weight above 0 gets one at least."""
    exact = weights / weights.sum() * slots
    counts = np.where(weights > 0, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
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
