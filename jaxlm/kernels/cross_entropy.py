"""Negative log-likelihood of targets under a softmax over the vocabulary."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core.readout import Readout


def token_nll(readout: Readout, targets_BL: Int[Array, "B L"]) -> Float[Array, "B L"]:
    """-log P(target) in nats, float32: logsumexp(logits) - logits[target].

    Raises nothing: targets must be ids below `readout.vocab_size`; give those without a target any id and weight 0.
    """
    logits_BLV = readout.logits()
    picked_BL = jnp.take_along_axis(logits_BLV, targets_BL[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits_BLV, axis=-1) - picked_BL
