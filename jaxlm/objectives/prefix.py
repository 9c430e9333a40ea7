"""Prefix language modelling: read a document's beginning both ways, then predict its rest (arXiv:1910.10683, section 3.2.1)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jaxlm.core import Example, Vocab, Window
from jaxlm.objectives.base import Share
from jaxlm.objectives.causal import CausalLM


@dataclass(frozen=True)
class PrefixLM(CausalLM):
    """sum_{i > c} -log P(w_i | w_1 .. w_{i-1}), where the c tokens of the prefix see each other, also those after them.

    Of a document's n tokens in a row, c is drawn evenly from 1 .. n - 1 (arXiv:2204.05832, section 3.1.2). What the prefix
    holds is seen and so never asked for: of a document's tokens about half are targets.
    """

    bits_name = None  # type: ignore[assignment]  # the prefixes are given away
    prefix = True

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        """Adds `prefix` [L], bool: True where a token belongs to its document's prefix."""
        example = super().prepare(windows, rng, vocab, seq_len)
        positions_L, segments_L = example["positions"], example["segments"]
        lengths = np.bincount(segments_L)[1:]
        cut_L = np.append(0, rng.integers(1, np.maximum(lengths, 2)))[segments_L]
        return {**example, "prefix": positions_L < cut_L, "weights": example["weights"] * (positions_L + 1 >= cut_L)}

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        for segment in range(1, int(example["segments"].max()) + 1):
            prefix = example["prefix"][example["segments"] == segment]
            if len(prefix) % 2:  # else the cut has an odd number of places, and no half of them
                yield Share("of the documents, prefix at most half", 0.5, int(2 * prefix.sum() < len(prefix)), int(len(prefix) > 1))
