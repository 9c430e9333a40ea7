"""Attention as the paper writes it: all weights at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Pair = tuple[Int[Array, "B L"], Int[Array, "B S"]]


def visible(
    positions: Pair, segments: Pair, *, causal: bool, window: int | None = None, prefix_BS: Bool[Array, "B S"] | None = None
) -> Bool[Array, "B L S"]:
    """Which keys a query sees: those of its segment; where causal none after it, unless they are of the segment's prefix;
    with a window those less than `window` positions away alone. Padding (segment 0) is seen by none."""
    query_segments_BL1, key_segments_B1S = segments[0][:, :, None], segments[1][:, None, :]
    ahead_BLS = positions[1][:, None, :] - positions[0][:, :, None]
    seen_BLS = (query_segments_BL1 == key_segments_B1S) & (key_segments_B1S > 0)
    if causal:
        seen_BLS &= (ahead_BLS <= 0) if prefix_BS is None else (ahead_BLS <= 0) | prefix_BS[:, None, :]
    return seen_BLS if window is None else seen_BLS & (jnp.abs(ahead_BLS) < window)


def attend(
    q_BLHK: Float[Array, "B L H K"],
    k_BSGK: Float[Array, "B S G K"],
    v_BSGK: Float[Array, "B S G K"],
    *,
    positions: Pair,
    segments: Pair,
    causal: bool,
    window: int | None = None,
    prefix_BS: Bool[Array, "B S"] | None = None,
    scale: float | None = None,
    bias_BHLS: Float[Array, "B H L S"] | None = None,
    soft_cap: float | None = None,
    drop: Callable[[Array], Array] | None = None,
) -> Float[Array, "B L H K"]:
    """Holds B x H x L x S weights; softmax in float32. Queries that see nothing (padding) get a finite value.

    Args:
      positions, segments: (of queries, of keys).
      causal, window, prefix_BS: which keys a query sees, see `visible`; prefix_BS is True for keys of their segment's prefix.
      scale: of the products of queries and keys; None: 1 / sqrt(K).
      bias_BHLS: added to the scaled products.
      soft_cap: c: what comes of this becomes c * tanh(it / c).
      drop: applied to the weights [B, G, H / G, L, S].
    """
    B, L, H, K = q_BLHK.shape
    G = k_BSGK.shape[2]
    q_BLGRK = q_BLHK.reshape(B, L, G, H // G, K)
    scores = jnp.einsum("blgrk,bsgk->bgrls", q_BLGRK, k_BSGK, preferred_element_type=jnp.float32)
    scores = scores * (K**-0.5 if scale is None else scale)
    if bias_BHLS is not None:
        scores = scores + bias_BHLS.reshape(scores.shape)
    if soft_cap is not None:
        scores = soft_cap * jnp.tanh(scores / soft_cap)
    seen = visible(positions, segments, causal=causal, window=window, prefix_BS=prefix_BS)[:, None, None]
    weights = _softmax(jnp.where(seen, scores, -1e30)).astype(q_BLHK.dtype)
    if drop is not None:
        weights = drop(weights)
    return jnp.einsum("bgrls,bsgk->blgrk", weights, v_BSGK).reshape(B, L, H, K)


@jax.custom_vjp
def _softmax(scores: Array) -> Array:
    """Over the last dim. Its gradient's sum is a product, which XLA's CPU compiler spreads over cores and vectors; the sum that
    autodiff writes it fuses with what went before and computes slowly, a tenth of a small model's step."""
    return jax.nn.softmax(scores, axis=-1)


def _softmax_forward(scores: Array) -> tuple[Array, Array]:
    weights = jax.nn.softmax(scores, axis=-1)
    return weights, weights


def _softmax_backward(weights: Array, slope: Array) -> tuple[Array]:
    mean = jnp.einsum("...s,...s->...", weights, slope, precision="highest")  # float32 on TPUs too
    return (weights * (slope - mean[..., None]),)


_softmax.defvjp(_softmax_forward, _softmax_backward)
