"""Negative log-likelihood of targets under a softmax over the vocabulary, with a gradient of its own."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core.readout import Readout
from jaxlm.kernels.project import project


def token_nll(readout: Readout, targets_BL: Int[Array, "B L"]) -> Float[Array, "B L"]:
    """-log P(target) in nats, float32: logsumexp(logits) - logits[target].

    Targets must be ids below `readout.vocab_size`; give places without a target any id and weight 0.
    """
    bias_V = jnp.zeros(readout.vocab_size) if readout.bias_V is None else readout.bias_V[: readout.vocab_size]
    table_VD = readout.table_VD[: readout.vocab_size]
    return _nll(readout.hidden, table_VD, bias_V, targets_BL, readout.soft_cap)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _nll(hidden: Array, table_VD: Array, bias_V: Array, targets_BL: Array, soft_cap: float | None) -> Array:
    return _forward(hidden, table_VD, bias_V, targets_BL, soft_cap)[0]


def _forward(hidden: Array, table_VD: Array, bias_V: Array, targets_BL: Array, soft_cap: float | None) -> tuple[Array, Any]:
    logits_BLV = Readout(hidden, table_VD, bias_V, table_VD.shape[0], soft_cap).logits()
    total_BL = jax.nn.logsumexp(logits_BLV, axis=-1)
    picked_BL = jnp.where(_is_target(logits_BLV, targets_BL), logits_BLV, 0).sum(-1)
    return total_BL - picked_BL, (hidden, table_VD, bias_V, targets_BL, logits_BLV, total_BL)


def _backward(soft_cap: float | None, kept: Any, cotangent_BL: Array) -> tuple[Array, Array, Array, None]:
    """softmax - one-hot in one pass (autodiff scatters the one-hot), and the table's gradient with the vocabulary last
    until its end: turning [D, V] costs less than turning [B, L, V]."""
    hidden, table_VD, bias_V, targets_BL, logits_BLV, total_BL = kept
    slope_BLV = jnp.exp(logits_BLV - total_BL[..., None]) - _is_target(logits_BLV, targets_BL)
    slope_BLV = slope_BLV * cotangent_BL[..., None]
    if soft_cap is not None:
        slope_BLV = slope_BLV * (1 - jnp.square(logits_BLV / soft_cap))
    narrow_BLV = slope_BLV.astype(hidden.dtype)
    to_hidden = project(narrow_BLV, table_VD)
    V, D = table_VD.shape
    to_table_DV = hidden.reshape(-1, D).T @ narrow_BLV.reshape(-1, V)  # of two matrices, as in `project`
    return to_hidden, to_table_DV.T.astype(table_VD.dtype), slope_BLV.sum((0, 1)).astype(bias_V.dtype), None


def _is_target(logits_BLV: Array, targets_BL: Array) -> Array:
    return jnp.arange(logits_BLV.shape[-1]) == targets_BL[..., None]


_nll.defvjp(_forward, _backward)
