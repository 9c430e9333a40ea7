# jaxlm train focal.py --objective.gamma 1.5
from dataclasses import dataclass, replace

import jax.numpy as jnp

import jaxlm
from jaxlm.core import Sums
from jaxlm.objectives import CausalLM, Inputs, token_nll


@dataclass(frozen=True)
class FocalLM(CausalLM):
    """Next-token loss that pays less attention to easy tokens (arXiv:1708.02002, eq. 4)."""

    gamma: float = 2.0
    """0 is plain causal LM."""

    def loss(self, model, params, batch, rng):
        out = model(params, Inputs.of(batch), rng=rng)
        nll_BL = token_nll(out.heads["lm"], batch["targets"])
        focus_BL = (1 - jnp.exp(-nll_BL)) ** self.gamma
        return Sums.of(out, tokens=(focus_BL * nll_BL, batch["weights"]))


def config():
    return replace(jaxlm.recipe("nano/gpt2"), objective=FocalLM())
