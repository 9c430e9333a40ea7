"""Llama (arXiv:2302.13971, arXiv:2307.09288): decoder-only, RMSNorm, rotary positions, SwiGLU, no biases, untied output."""

from collections.abc import Mapping
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, RotaryScaling, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads, key/value heads, feed-forward width: Llama 2's
    "7b": (32, 4096, 32, 32, 11_008),
    "13b": (40, 5120, 40, 40, 13_824),
    "70b": (80, 8192, 64, 8, 28_672),
}


def llama(
    size: Literal["7b", "13b", "70b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    mlp_dim: int | None = None,
    vocab_size: int | None = None,
    rotary_theta: float = 10_000.0,
    rotary_scaling: RotaryScaling | None = None,
    **execution,
) -> Transformer:
    """Llama 2 of a published size, or of any other where its numbers are given.

    Args:
      num_kv_heads: None: the size's, else as many as heads.
      mlp_dim: None: the size's, else 8/3 of the width, rounded up to a multiple of 32.
      rotary_scaling: see `llama3`.
      vocab_size: 32,000 in the release; None: the tokenizer's.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    given = (num_layers, embed_dim, num_heads, num_kv_heads, mlp_dim)
    layers, width, heads, kv_heads, feed_forward = llama_dimensions("llama", SIZES, size, *given)
    attention = Attention(heads, num_kv_heads=kv_heads, rotary_theta=rotary_theta, rotary_scaling=rotary_scaling, bias=False)
    norm = RMSNorm(epsilon=1e-5)
    return Transformer(
        embed=Embed(width, vocab_size),
        decoder=(Stack((Block(attention, MLP(feed_forward, "silu", gated=True, bias=False), norm),), repeats=layers),),
        norm=norm,
        heads=(("lm", VocabHead(tied=False)),),
        **execution,
    )


def llama_dimensions(
    family: str,
    sizes: Mapping[str, tuple[int, ...]],
    size: str | None,
    num_layers: int | None,
    embed_dim: int | None,
    num_heads: int | None,
    num_kv_heads: int | None,
    mlp_dim: int | None,
) -> tuple[int, ...]:
    """The five numbers of a model with Llama's skeleton, as `dimensions`; without a size, key/value heads and feed-forward width
    follow from the others where they are not given."""
    if size is None and num_heads and embed_dim:
        num_kv_heads = num_kv_heads or num_heads
        mlp_dim = mlp_dim or -(-embed_dim * 8 // 3 // 32) * 32
    return dimensions(family, sizes, size, num_layers, embed_dim, num_heads, num_kv_heads, mlp_dim)
