"""Next-token prediction: sum_i -log P(w_{i+1} | w_1 .. w_i) (GPT-2, GPT-3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlm.core import Example, Inputs, Sums, Vocab, Window
from jaxlm.kernels.cross_entropy import token_nll
from jaxlm.objectives.base import Array, Objective


@dataclass(frozen=True)
class CausalLM(Objective):
    """Predict each token from those before it in its document.

    Windows hold L + 1 tokens and share one with the next, so each token of the text is a target exactly once, a
    document's first from its bos. No target crosses from one document into another.
    """

    overlap = 1
    attention = "causal"
    bits_name = "bits_per_byte"

    def raw_length(self, seq_len: int) -> int:
        return seq_len + 1

    def num_targets(self, num_tokens: int, num_documents: int) -> int:
        return num_tokens - num_documents  # all but each document's bos

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        ids_N, segments_N, positions_N, *_ = windows[0]
        same_document_L = (segments_N[1:] == segments_N[:-1]) & (segments_N[1:] > 0)
        return {
            "tokens": ids_N[:-1],
            "positions": positions_N[:-1],
            "segments": segments_N[:-1],
            "targets": ids_N[1:],
            "weights": same_document_L.astype(np.float32),
        }

    def loss(self, model: Any, params: Any, batch: Mapping[str, Array], rng: Any) -> Sums:
        out = model(params, Inputs.of(batch), rng=rng)
        nll_BL = token_nll(out.heads["lm"], batch["targets"])
        pair = (nll_BL, batch["weights"])
        return Sums.of(out, tokens=pair, metrics={"nll": pair})
