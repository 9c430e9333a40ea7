"""Llama 3 and 3.1 (arXiv:2407.21783): Llama with few key/value heads at every size, a larger vocabulary, slower rotations
(theta 500,000) and, from 3.1 on, those scaled for long texts."""

from typing import Literal

from jaxlm.models.families.llama import llama, llama_dimensions
from jaxlm.models.layers import RotaryScaling
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads, key/value heads, feed-forward width: table 3
    "8b": (32, 4096, 32, 8, 14_336),
    "70b": (80, 8192, 64, 8, 28_672),
    "405b": (126, 16_384, 128, 8, 53_248),
}


def llama3(
    size: Literal["8b", "70b", "405b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    mlp_dim: int | None = None,
    rotary_theta: float = 500_000.0,
    rotary_scaling: RotaryScaling | None = RotaryScaling(),
    **rest,
) -> Transformer:
    """Llama 3.1 of a published size, or of any other where its numbers are given.

    Args:
      num_kv_heads, mlp_dim: None: the size's, else as `llama` has them.
      rotary_scaling: None: Llama 3, for texts of at most 8,192 tokens.
      **rest: of `llama`: `vocab_size` (128,256), and `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    given = (num_layers, embed_dim, num_heads, num_kv_heads, mlp_dim)
    layers, width, heads, kv_heads, feed_forward = llama_dimensions("llama3", SIZES, size, *given)
    return llama(
        num_layers=layers,
        embed_dim=width,
        num_heads=heads,
        num_kv_heads=kv_heads,
        mlp_dim=feed_forward,
        rotary_theta=rotary_theta,
        rotary_scaling=rotary_scaling,
        **rest,
    )
