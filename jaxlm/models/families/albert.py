"""ALBERT (arXiv:1909.11942): BERT whose layers share their parameters, with token vectors of 128 that are projected to the model's
width (section 3.1), and the tanh GELU."""

from dataclasses import replace
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.families.bert import bert
from jaxlm.models.layers import MLP, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads: table 1, and the heads of the releases' configs
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
    "xlarge": (24, 2048, 16),
    "xxlarge": (12, 4096, 64),
}


def albert(
    size: Literal["base", "large", "xlarge", "xxlarge"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    table_dim: int = 128,
    dropout: float = 0.0,
    **rest,
) -> Transformer:
    """ALBERT of a published size, or of any other where its three numbers are given.

    Args:
      table_dim: width of the vectors of tokens, positions and token types, and of the words that are scored.
      dropout: of embeddings, attention weights and residuals; 0 in the second release (section 4.8), 0.1 in the first.
      **rest: of `bert`: `vocab_size` (30,000), `context`, `pooler`, `pairs`, `norm_place`, `num_token_types`, and `dtype`, `remat`,
        `unroll`, `kernel` of `Transformer`.
    """
    layers, width, heads = dimensions("albert", SIZES, size, num_layers, embed_dim, num_heads)
    model = bert(num_layers=layers, embed_dim=width, num_heads=heads, dropout=dropout, **rest)
    (stack,), (block,) = model.decoder, model.decoder[0].pattern
    shared = replace(stack, pattern=(replace(block, mlp=MLP(4 * width, "gelu")),), shared=True)
    ends = tuple((name, replace(head, activation="gelu") if isinstance(head, VocabHead) else head) for name, head in model.heads)
    embed = replace(model.embed, embed_dim=table_dim)
    return replace(model, embed=embed, width=width if width != table_dim else None, decoder=(shared,), heads=ends)
