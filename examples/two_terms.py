"""Two terms of different weights: all tokens, and once more those that begin a word. jaxlm train two_terms.py"""

from dataclasses import dataclass, replace

import jaxlm
from jaxlm.core import Sums
from jaxlm.objectives import CausalLM, Inputs, token_nll


@dataclass(frozen=True)
class WordStarts(CausalLM):
    scale: float = 0.5
    """Of the second term; a term is divided by its own weight."""

    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        starts_L = vocab.starts_word_V[example["targets"]]
        return {**example, "start_weights": example["weights"] * starts_L}

    def weights(self, batch):
        return {"tokens": batch["weights"].sum(), "starts": batch["start_weights"].sum()}

    def loss(self, model, params, batch, rng):
        out = model(params, Inputs.of(batch), rng=rng)
        nll_BL = token_nll(out.heads["lm"], batch["targets"])
        terms = {"tokens": (nll_BL, batch["weights"]), "starts": (self.scale * nll_BL, batch["start_weights"])}
        return Sums.of(out, **terms, metrics={"nll": terms["tokens"]})


def config():
    return replace(jaxlm.recipe("nano/gpt2"), objective=WordStarts())
