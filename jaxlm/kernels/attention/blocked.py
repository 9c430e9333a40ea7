"""Attention a block of queries at a time: memory grows with L x block, not L x L; the backward pass computes anew."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core import ConfigError
from jaxlm.kernels.attention import plain


def attend(
    q_BLHK: Float[Array, "B L H K"],
    k_BSGK: Float[Array, "B S G K"],
    v_BSGK: Float[Array, "B S G K"],
    *,
    positions: plain.Pair,
    segments: plain.Pair,
    bias_BHLS: Float[Array, "B H L S"] | None = None,
    drop: Callable[[Array], Array] | None = None,
    block: int = 512,
    **settings: Any,
) -> Float[Array, "B L H K"]:
    """As `plain.attend` with all its `settings` but dropout, for blocks of at most `block` queries in turn. A bias is given
    whole, so its L x S numbers are held, once for all layers.

    Raises:
      ConfigError: dropout of the weights is asked for.
    """
    if drop is not None:
        raise ConfigError(
            "model.kernel='blocked' cannot drop attention weights; set the attention's dropout to 0 or kernel to 'plain'"
        )
    L = q_BLHK.shape[1]
    num_blocks = -(-L // block)

    def blocks(x: Array, dim: int = 1) -> Array:  # [B, ..., L, ...] -> [num_blocks, B, ..., block, ...]
        padding = [(0, 0)] * x.ndim
        padding[dim] = 0, num_blocks * block - L
        x = jnp.pad(x, padding)
        return jnp.moveaxis(x.reshape(*x.shape[:dim], num_blocks, block, *x.shape[dim + 1 :]), dim, 0)

    @jax.checkpoint
    def one(queries: tuple[Array, Array, Array, Array | None]) -> Array:
        q, query_positions, query_segments, bias = queries
        pairs = (query_positions, positions[1]), (query_segments, segments[1])
        return plain.attend(q, k_BSGK, v_BSGK, positions=pairs[0], segments=pairs[1], bias_BHLS=bias, **settings)

    bias = None if bias_BHLS is None else blocks(bias_BHLS, dim=2)
    out = jax.lax.map(one, (blocks(q_BLHK), blocks(positions[0]), blocks(segments[0]), bias))
    return jnp.moveaxis(out, 0, 1).reshape(q_BLHK.shape[0], num_blocks * block, *q_BLHK.shape[2:])[:, :L]
