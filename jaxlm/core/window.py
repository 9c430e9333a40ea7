"""What the data room hands to an objective, and what an objective hands back; numpy only."""

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
    def empty(cls, length: int) -> "Window":
        """Padding alone: what `prepare` is given for a row of weight 0."""
        zeros = np.zeros(length, np.int32)
        return cls(zeros, zeros, zeros)
