"""GPT-3 (arXiv:2005.14165): GPT-2 with a longer context, where layers that see all before and layers that see a local band
take turns (section 2.1, after arXiv:1904.10509)."""

from dataclasses import replace
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.families.gpt2 import gpt2
from jaxlm.models.layers import Attention, in_turn
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads: table 2.1, but for what could not be so
    "small": (12, 768, 12),
    "medium": (24, 1024, 16),
    "large": (24, 1536, 16),
    "xl": (24, 2048, 16),  # the table's 24 heads of 128 would be wider than the model
    "2.7b": (32, 2560, 32),
    "6.7b": (32, 4096, 32),
    "13b": (40, 5120, 40),  # the table's width of 5,140 is no multiple of its 40 heads of 128
    "175b": (96, 12_288, 96),
}


def gpt3(
    size: Literal["small", "medium", "large", "xl", "2.7b", "6.7b", "13b", "175b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    context: int = 2048,
    band: int = 256,
    **rest,
) -> Transformer:
    """GPT-3 of a published size, or of any other where its three numbers are given.

    Args:
      context: the longest sequence.
      band: how many tokens, its own among them, a token sees in every second layer; the paper doesn't tell its own.
      **rest: of `gpt2`: `vocab_size` (50,257), `dropout`, `bias`, and `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    layers, width, heads = dimensions("gpt3", SIZES, size, num_layers, embed_dim, num_heads)
    model = gpt2(num_layers=layers, embed_dim=width, num_heads=heads, context=context, **rest)
    (dense,) = model.decoder[0].pattern
    assert isinstance(dense.attention, Attention), "GPT-2's attention is such"
    banded = replace(dense, attention=replace(dense.attention, window=band))
    return replace(model, decoder=in_turn((dense, banded), layers))
