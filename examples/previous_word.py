"""Predict the previous token: every document is read backwards. jaxlm train previous_word.py"""

from dataclasses import dataclass, replace

import numpy as np

import jaxlm
from jaxlm.objectives import CausalLM


@dataclass(frozen=True)
class PreviousWord(CausalLM):
    """The loss is CausalLM's; only the rows are other ones."""

    bits_name = None  # its nats are no code of the text as it stands: no bits per byte

    def prepare(self, windows, rng, vocab, seq_len):
        ids_N, segments_N, positions_N = (array[::-1] for array in windows[0][:3])
        last = np.zeros(segments_N.max() + 1, np.int32)
        np.maximum.at(last, segments_N, positions_N)
        backwards_N = (last[segments_N] - positions_N) * (segments_N > 0)  # restarts in each document
        window = windows[0]._replace(ids_N=ids_N, segments_N=segments_N, positions_N=backwards_N)
        return super().prepare((window,), rng, vocab, seq_len)


def config():
    return replace(jaxlm.recipe("nano/gpt2"), objective=PreviousWord())
