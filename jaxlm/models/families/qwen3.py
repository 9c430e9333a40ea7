"""Qwen3, the dense models (arXiv:2505.09388): as Llama, with normalised queries and keys (arXiv:2010.04245), heads of 128 whatever
the width, and at small sizes a tied output."""

from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads, key/value heads (table 1), feed-forward width (the releases' configs)
    "0.6b": (28, 1024, 16, 8, 3072),
    "1.7b": (28, 2048, 16, 8, 6144),
    "4b": (36, 2560, 32, 8, 9728),
    "8b": (36, 4096, 32, 8, 12_288),
    "14b": (40, 5120, 40, 8, 17_408),
    "32b": (64, 5120, 64, 8, 25_600),
}


def qwen3(
    size: Literal["0.6b", "1.7b", "4b", "8b", "14b", "32b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    num_kv_heads: int | None = None,
    mlp_dim: int | None = None,
    head_dim: int = 128,
    tied: bool | None = None,
    vocab_size: int | None = None,
    **execution,
) -> Transformer:
    """Qwen3 of a published size, or of any other where its numbers are given.

    Args:
      num_kv_heads: None: the size's, else as many as heads.
      mlp_dim: None: the size's, else three times the width.
      tied: score with the input's table; None: as the release, up to a width of 2,560.
      vocab_size: 151,936 in the release; None: the tokenizer's.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    if size is None and num_heads and embed_dim:  # what follows from the others where there is no table to read
        num_kv_heads, mlp_dim = num_kv_heads or num_heads, mlp_dim or 3 * embed_dim
    given = (num_layers, embed_dim, num_heads, num_kv_heads, mlp_dim)
    layers, width, heads, kv_heads, feed_forward = dimensions("qwen3", SIZES, size, *given)
    norm = RMSNorm(epsilon=1e-6)
    attention = Attention(
        heads, num_kv_heads=kv_heads, head_dim=head_dim, rotary_theta=1_000_000.0, query_key_norm=norm, bias=False
    )
    return Transformer(
        embed=Embed(width, vocab_size, stddev=None),  # 0.02 at a width of 2,500, as released; at others the logits begin as large
        decoder=(Stack((Block(attention, MLP(feed_forward, "silu", gated=True, bias=False), norm),), repeats=layers),),
        norm=norm,
        heads=(("lm", VocabHead(tied=width <= 2560 if tied is None else tied)),),
        **execution,
    )
