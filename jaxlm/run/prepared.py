"""What an objective makes of a text's first rows: how full they are, what of the text they show, and whether they ask anything."""

from typing import NamedTuple

import numpy as np

from jaxlm.core import ConfigError
from jaxlm.data import Examples

NUM_ROWS = 64


class Prepared(NamedTuple):
    """Of some rows."""

    num_rows: int
    empty: tuple[float, ...]
    """Share of the places that hold no token: of the decoder's side, and of the encoder's if there is one."""
    left_out: float | None
    """Share of their text that they do not show; None: rows show another document's text too."""
    pairs: float | None
    """Share of the rows that hold a pair; None: no row is to hold one."""


def prepared(rows: Examples) -> Prepared:
    """Of the first `NUM_ROWS` rows that a run trains on.

    Raises:
      ConfigError: none of them asks for anything.
    """
    objective, positions = rows.objective, np.arange(min(NUM_ROWS, rows.num_rows))
    batch = rows.batch(positions)
    if not any(float(weight) for weight in objective.weights(batch).values()):
        raise ConfigError(
            f"objective {type(objective).__name__}: none of the first {len(positions)} training rows asks for anything, so nothing "
            f"would be learnt; give other text, other settings of the objective, or another data.seq_len than {rows.seq_len}"
        )
    ordinary_V = ~rows.vocab.special_V
    sides = ("", "encoder_") if "encoder_tokens" in batch else ("",)
    text = sum(
        int(ordinary_V[window.ids_N[window.segments_N > 0]].sum())
        for position in positions.tolist()
        for first in rows.windows(position)[:1]
        for window in (first, *first.others.values())
    )
    shown = sum(
        int(ordinary_V[batch[name][batch[f"{side}segments"] > 0]].sum())
        for side, name in zip(sides, ("targets", "encoder_tokens"), strict=False)
    )
    return Prepared(
        len(positions),
        tuple(float((batch[f"{side}segments"] == 0).mean()) for side in sides),
        max(0.0, 1 - shown / max(text - objective.overlap * len(positions), 1)) if objective.num_windows == 1 else None,
        float((batch["pair_weights"] > 0).mean()) if "pair_weights" in batch else None,
    )
