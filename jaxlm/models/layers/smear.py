"""Smeared keys (Olsson et al. 2022, arXiv:2209.11895, section "Argument 2")."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def smeared(
    k_BSGK: Float[Array, "B S G K"], share_G: Float[Array, " G"], segments_BS: Int[Array, "B S"]
) -> Float[Array, "B S G K"]:
    """(1 - share) of each key and `share` of the one before it in its segment; a segment's first key stays as it is."""
    same_BS = jnp.pad(segments_BS[:, 1:] == segments_BS[:, :-1], ((0, 0), (1, 0)))
    share_BSG1 = jnp.where(same_BS[:, :, None], share_G, 0.0)[..., None].astype(k_BSGK.dtype)
    before_BSGK = jnp.pad(k_BSGK[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
    return k_BSGK + share_BSG1 * (before_BSGK - k_BSGK)
