"""Next-token prediction: sum_i -log P(w_{i+1} | w_1 .. w_i) (GPT-2, GPT-3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlm.core import ConfigError, Example, Inputs, Sums, Vocab, Window
from jaxlm.kernels.cross_entropy import token_nll, token_scores
from jaxlm.objectives.base import Array, Objective


@dataclass(frozen=True)
class CausalLM(Objective):
    """Predict each token from those before it in its document.

    Windows hold L + 1 tokens and share one with the next, so each token of the text is a target exactly once, a
    document's first from its bos. No target crosses from one document into another.
    """

    z_loss: float = 0.0
    """Coefficient of the squared logsumexp, which keeps logits near 0 (PaLM, arXiv:2204.02311, section 5: 1e-4)."""
    label_smoothing: float = 0.0
    """e: targets are (1 - e) one-hot + e uniform over the vocabulary (arXiv:1706.03762, section 5.4: 0.1)."""

    overlap = 1
    attention = "causal"
    bits_name = "bits_per_byte"

    def __post_init__(self) -> None:
        if not (0 <= self.z_loss < math.inf and 0 <= self.label_smoothing < 1):
            raise ConfigError(
                f"objective.z_loss={self.z_loss} must be at least 0 and finite (PaLM has 1e-4) and "
                f"objective.label_smoothing={self.label_smoothing} at least 0 and below 1 (the 2017 transformer has 0.1)"
            )

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
        scores = token_scores(out.heads["lm"], batch["targets"])
        loss_BL = scores.nll
        if self.label_smoothing:
            loss_BL += self.label_smoothing * (scores.target - scores.mean)
        if self.z_loss:
            loss_BL += self.z_loss * scores.logsumexp**2
        return Sums.of(out, tokens=(loss_BL, batch["weights"]), metrics={"nll": (scores.nll, batch["weights"])})

    def nll(self, model: Any, params: Any, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        return token_nll(model(params, Inputs.of(batch)).heads["lm"], batch["targets"]), batch["weights"]
