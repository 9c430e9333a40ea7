"""RoBERTa (arXiv:1907.11692): BERT without sentence pairs, hence without token types; trained longer, its masks drawn anew
each time (as `MaskedLM` always does)."""

from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.families.bert import bert
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}


def roberta(
    size: Literal["base", "large"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    context: int = 512,
    **rest,
) -> Transformer:
    """RoBERTa of a published size, or of any other where its three numbers are given.

    Args:
      context: the longest sequence. The release has 514 vectors of positions for texts of 512, whose positions begin at
        2; ours begin at 0, so its two vectors that nothing uses are not there.
      **rest: of `bert`: `vocab_size` (50,265), `dropout`, `norm_place`, and `dtype`, `remat`, `unroll`, `kernel` of
        `Transformer`.
    """
    layers, width, heads = dimensions("roberta", SIZES, size, num_layers, embed_dim, num_heads)
    return bert(num_layers=layers, embed_dim=width, num_heads=heads, context=context, num_token_types=0, norm_epsilon=1e-5, **rest)
