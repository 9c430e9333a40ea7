"""Token rows of different lengths as one batch, padded to few different shapes."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from jaxlm.core import ConfigError, Inputs

LEAST = 16
"""The shortest length that is compiled for."""


def bucket(length: int) -> int:
    """The least power of two that holds `length`, and at least 16: so each model is compiled for few shapes."""
    return max(LEAST, 1 << (length - 1).bit_length())


def require_no_encoder(command: str, model: Any) -> None:
    """Raises ConfigError where a model reads a second text, which `command` has not."""
    if model.encoder:
        raise ConfigError(
            f"{command}: the model is an encoder-decoder, and its encoder would have nothing to read; use a run of a model without "
            "an encoder"
        )


def padded(rows: Sequence[np.ndarray], side: Literal["left", "right"]) -> Inputs:
    """One segment a row, with positions from 0 at its first token; padding is segment 0, which nothing attends to.

    Args:
      rows: ids_N of each row, of any lengths.

    Returns:
      Inputs of int32 [B, L], L the bucket of the longest.
    """
    shape = len(rows), bucket(max(map(len, rows)))
    tokens_BL, positions_BL, segments_BL = (np.zeros(shape, np.int32) for _ in range(3))
    for b, ids_N in enumerate(rows):
        place = slice(shape[1] - len(ids_N), None) if side == "left" else slice(len(ids_N))
        tokens_BL[b, place] = ids_N
        positions_BL[b, place] = np.arange(len(ids_N))
        segments_BL[b, place] = 1
    return Inputs(tokens_BL, positions_BL, segments_BL)
