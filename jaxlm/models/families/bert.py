"""BERT (arXiv:1810.04805): encoder-only, post-norm, learned positions, two token types, exact GELU, tied masked-word head."""

from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, Classifier, Embed, LayerNorm, LearnedPositions, Pooler, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}


def bert(
    size: Literal["tiny", "mini", "small", "medium", "base", "large"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    context: int = 512,
    vocab_size: int | None = None,
    dropout: float = 0.1,
    pooler: bool = False,
    pairs: bool = False,
    norm_place: Literal["pre", "post"] = "post",
    norm_epsilon: float = 1e-12,
    num_token_types: int = 2,
    **execution,
) -> Transformer:
    """BERT of a published size, or of any other where its three numbers are given.

    Args:
      context: the longest sequence.
      vocab_size: 30,522 in the uncased release; None: the tokenizer's.
      dropout: of embeddings, attention weights and residuals.
      pooler: add the summary of the first token.
      pairs: add the two scores, of such a summary, that sentence objectives read.
      norm_place: "post" in the release; "pre" learns at higher rates without a long warm-up (arXiv:2002.04745).
      norm_epsilon: added to variances.
      num_token_types: two kinds of sentences in the release; 0: none.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    layers, width, heads = dimensions("bert", SIZES, size, num_layers, embed_dim, num_heads)
    norm = LayerNorm(norm_epsilon)
    block = Block(
        attention=Attention(heads, causal=False, dropout=dropout),
        mlp=MLP(4 * width, "gelu_exact"),
        norm=norm,
        norm_place=norm_place,
        dropout=dropout,
    )
    embed = Embed(
        width, vocab_size, positions=LearnedPositions(context), num_token_types=num_token_types, norm=norm, dropout=dropout
    )
    ends = (("pooler", Pooler()), pooler), (("pairs", Classifier(2)), pairs)
    return Transformer(
        embed=embed,
        decoder=(Stack((block,), repeats=layers),),
        norm=norm if norm_place == "pre" else None,
        heads=(("lm", VocabHead(tied=True, bias=True, transform=True, norm=norm)), *(end for end, wanted in ends if wanted)),
        **execution,
    )
