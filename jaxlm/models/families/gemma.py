"""Gemma 2 (arXiv:2408.00118): local and global layers in turn, soft caps on scores and logits, norms before and after each half
of a block, GeGLU (arXiv:2002.05202), scaled embedding, tied output, heads as wide as the size has them."""

from dataclasses import replace
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, VocabHead, in_turn
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads, key/value heads, head size, feed-forward width: table 1, which counts both up-projections
    "2b": (26, 2304, 8, 4, 256, 9216),
    "9b": (42, 3584, 16, 8, 256, 14_336),
    "27b": (46, 4608, 32, 16, 128, 36_864),
}


def gemma(
    size: Literal["2b", "9b", "27b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    head_dim: int | None = None,
    mlp_dim: int | None = None,
    window: int = 4096,
    query_scale: float | None = None,
    vocab_size: int | None = None,
    **execution,
) -> Transformer:
    """Gemma 2 of a published size, or of any other where its numbers are given.

    Norms multiply by a scale that begins at 1, where the release stores what is added to 1.

    Args:
      num_kv_heads: None: the size's, else as many as heads.
      head_dim: None: the size's, else embed_dim / num_heads.
      mlp_dim: None: the size's, else four times the width.
      window: how many tokens, its own among them, a token sees in every second layer, the first among them.
      query_scale: of queries; None: 1 / sqrt(head_dim), but 1 / sqrt(embed_dim / num_heads) for "27b", as in the release.
      vocab_size: 256,000 in the release; None: the tokenizer's.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    if size is None and num_heads and embed_dim:  # what follows from the others where there is no table to read
        num_kv_heads, head_dim = num_kv_heads or num_heads, head_dim or embed_dim // num_heads
        mlp_dim = mlp_dim or 4 * embed_dim
    given = (num_layers, embed_dim, num_heads, num_kv_heads, head_dim, mlp_dim)
    layers, width, heads, kv_heads, head_size, feed_forward = dimensions("gemma", SIZES, size, *given)
    if size == "27b" and query_scale is None:
        query_scale = (width / heads) ** -0.5
    everywhere = Attention(
        heads,
        num_kv_heads=kv_heads,
        head_dim=head_size,
        scale=query_scale,
        soft_cap=50.0,
        rotary_theta=10_000.0,
        bias=False,
    )
    norm = RMSNorm(epsilon=1e-6)
    wide = Block(everywhere, MLP(feed_forward, "gelu", gated=True, bias=False), norm, norm_place="sandwich")
    local = replace(wide, attention=replace(everywhere, window=window))
    return Transformer(
        embed=Embed(width, vocab_size, scale_by_sqrt_dim=True, stddev=None),  # scaled, each number of a vector is about 1
        decoder=in_turn((local, wide), layers),
        norm=norm,
        heads=(("lm", VocabHead(tied=True, soft_cap=30.0)),),
        **execution,
    )
