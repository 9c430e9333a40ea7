"""ELECTRA (arXiv:2003.10555): a BERT that says of each token whether it was replaced, and a narrower one, thrown away afterwards,
that replaces some. They share their embedding, which in the small size is narrower than the blocks."""

from dataclasses import replace
from typing import Literal

from jaxlm.core import ConfigError
from jaxlm.models.families import dimensions
from jaxlm.models.families.bert import bert
from jaxlm.models.layers import TokenScore
from jaxlm.models.pair import Pair
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads: table 6
    "small": (12, 256, 4),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}
TABLES = {"small": 128}
"""Widths of embeddings that are not those of the blocks: table 6."""
GENERATORS = {"small": 1 / 4, "base": 1 / 3, "large": 1 / 4}
"""The generator's part of width, feed-forward width and heads: table 6."""


def electra(
    size: Literal["small", "base", "large"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    table_dim: int | None = None,
    generator_size: float | None = None,
    pooler: bool = False,
    **rest,
) -> Pair:
    """ELECTRA of a published size, or of any other where its three numbers are given: those of the discriminator.

    Args:
      table_dim: width of the tables of tokens, positions and token types; None: the size's, else embed_dim.
      generator_size: the generator's part of embed_dim, feed-forward width and heads; None: the size's, else 1/4. Its layers
        are as many. The release's small model was trained beside a generator of its own width, 1.0.
      pooler: give the discriminator a summary of the first token, `tanh(dense)`; the release has none.
      **rest: of `bert`, for both: `context` (512), `vocab_size` (30,522), `dropout`, `norm_place`, `norm_epsilon`,
        `num_token_types`, and `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    layers, width, heads = dimensions("electra", SIZES, size, num_layers, embed_dim, num_heads)
    if size is not None:
        table_dim, generator_size = table_dim or TABLES.get(size), generator_size or GENERATORS[size]
    table, part = table_dim or width, generator_size or 1 / 4
    if round(part * width) < 1:
        raise ConfigError(f"electra(generator_size={part}): of a width of {width} that is nothing; the paper has 1/4 and 1/3")

    def half(width: int, heads: int, pooler: bool) -> Transformer:
        model = bert(num_layers=layers, embed_dim=width, num_heads=heads, pooler=pooler, **rest)
        return replace(model, embed=replace(model.embed, embed_dim=table), width=None if width == table else width)

    judge = half(width, heads, pooler)
    ends = (("replaced", TokenScore()), *(head for head in judge.heads if head[0] != "lm"))
    generator = half(round(part * width), max(1, round(part * heads)), pooler=False)
    return Pair(generator, replace(judge, heads=ends))
