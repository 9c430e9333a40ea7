"""T5 1.1 (the release's notes, github.com/google-research/text-to-text-transfer-transformer; arXiv:2002.05202): T5 with gated
GELU, an output table of its own, other shapes, and no dropout while it learns from raw text."""

from dataclasses import replace
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.families.t5 import t5
from jaxlm.models.layers import MLP, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers of each side, width, heads, head size, feed-forward width: the releases' configs
    "small": (8, 512, 6, 64, 1024),
    "base": (12, 768, 12, 64, 2048),
    "large": (24, 1024, 16, 64, 2816),
    "xl": (24, 2048, 32, 64, 5120),
    "xxl": (24, 4096, 64, 64, 10_240),
}


def t5_v1_1(
    size: Literal["small", "base", "large", "xl", "xxl"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    head_dim: int | None = None,
    mlp_dim: int | None = None,
    dropout: float = 0.0,
    **rest,
) -> Transformer:
    """T5 1.1 of a published size, or of any other where its numbers are given.

    Args:
      num_layers: of the encoder, and of the decoder.
      head_dim: None: the size's, else embed_dim / num_heads.
      mlp_dim: None: the size's, else 8/3 of the width, rounded up to a multiple of 32.
      dropout: 0.1 for fine-tuning.
      **rest: of `t5`: `vocab_size` (32,128), and `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    if size is None and num_heads and embed_dim:  # what follows from the others where there is no table to read
        head_dim, mlp_dim = head_dim or embed_dim // num_heads, mlp_dim or -(-embed_dim * 8 // 3 // 32) * 32
    given = (num_layers, embed_dim, num_heads, head_dim, mlp_dim)
    layers, width, heads, head_size, feed_forward = dimensions("t5_v1_1", SIZES, size, *given)
    model = t5(
        num_layers=layers, embed_dim=width, num_heads=heads, head_dim=head_size, mlp_dim=feed_forward, dropout=dropout, **rest
    )

    def gated(stack: Stack) -> Stack:
        (block,) = stack.pattern
        assert isinstance(block.mlp, MLP), "T5's feed-forward is such"
        return replace(stack, pattern=(replace(block, mlp=replace(block.mlp, activation="gelu", gated=True)),))

    return replace(
        model,
        encoder=tuple(map(gated, model.encoder)),
        decoder=tuple(map(gated, model.decoder)),
        heads=(("lm", VocabHead(tied=False, stddev=None)),),
    )
