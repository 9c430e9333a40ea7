"""An objective with parameters of its own: a small head learns how much each token will cost. jaxlm train own_head.py"""

from dataclasses import dataclass, replace

import flax.linen as nn
import jax

import jaxlm
from jaxlm.core import Sums
from jaxlm.models.layers.base import Settings, param
from jaxlm.objectives import CausalLM, Inputs, token_nll


class CostModule(nn.Module):
    @nn.compact
    def __call__(self, x_BLD, table_VD, vocab_size):
        return x_BLD @ param(self, "kernel", nn.initializers.zeros, x_BLD.shape[-1:], ("embed",)).astype(x_BLD.dtype)


@dataclass(frozen=True)
class Cost(Settings):
    def build(self, name):
        return CostModule(name=name)


@dataclass(frozen=True)
class CausalWithCost(CausalLM):
    def weights(self, batch):
        return {"tokens": batch["weights"].sum(), "cost": batch["weights"].sum()}

    def loss(self, model, params, batch, rng):
        out = model(params, Inputs.of(batch), rng=rng)
        nll_BL = token_nll(out.heads["lm"], batch["targets"])
        error_BL = (out.heads["cost"] - jax.lax.stop_gradient(nll_BL)) ** 2
        pairs = {"tokens": (nll_BL, batch["weights"]), "cost": (0.1 * error_BL, batch["weights"])}
        return Sums.of(out, **pairs, metrics={"nll": pairs["tokens"]})


def config():
    base = jaxlm.recipe("nano/gpt2")
    return replace(base, model=replace(base.model, heads=(*base.model.heads, ("cost", Cost()))), objective=CausalWithCost())
