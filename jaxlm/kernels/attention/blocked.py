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
    drop: Callable[[Array], Array] | None = None,
    block: int = 512,
    **settings: Any,
) -> Float[Array, "B L H K"]:
    """As `plain.attend` with all its `settings` but dropout, for blocks of at most `block` queries in turn.

    Raises:
      ConfigError: dropout of the weights is asked for.
    """
    if drop is not None:
        raise ConfigError(
            "model.kernel='blocked' cannot drop attention weights; set the attention's dropout to 0 or kernel to 'plain'"
        )
    L = q_BLHK.shape[1]
    num_blocks = -(-L // block)

    def blocks(x: Array) -> Array:  # [B, L, ...] -> [num_blocks, B, block, ...]
        padding = [(0, 0), (0, num_blocks * block - L)] + [(0, 0)] * (x.ndim - 2)
        x = jnp.pad(x, padding)
        return jnp.moveaxis(x.reshape(x.shape[0], num_blocks, block, *x.shape[2:]), 1, 0)

    @jax.checkpoint
    def one(queries: tuple[Array, Array, Array]) -> Array:
        q, query_positions, query_segments = queries
        return plain.attend(
            q, k_BSGK, v_BSGK, positions=(query_positions, positions[1]), segments=(query_segments, segments[1]), **settings
        )

    out = jax.lax.map(one, (blocks(q_BLHK), blocks(positions[0]), blocks(segments[0])))
    return jnp.moveaxis(out, 0, 1).reshape(q_BLHK.shape[0], num_blocks * block, *q_BLHK.shape[2:])[:, :L]
