"""GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"): decoder-only, pre-norm, learned
positions, tanh GELU, tied output, biases everywhere."""

from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, Embed, LayerNorm, LearnedPositions, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers, width, heads
    "small": (12, 768, 12),
    "medium": (24, 1024, 16),
    "large": (36, 1280, 20),
    "xl": (48, 1600, 25),
}


def gpt2(
    size: Literal["small", "medium", "large", "xl"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    context: int = 1024,
    vocab_size: int | None = None,
    dropout: float = 0.0,
    bias: bool = True,
    **execution,
) -> Transformer:
    """GPT-2 of a published size, or of any other where its three numbers are given.

    Args:
      context: the longest sequence.
      vocab_size: 50,257 in the release; None: the tokenizer's.
      bias: in projections and norms; the release has them everywhere, nanoGPT nowhere.
      dropout: of embeddings, attention weights and residuals; 0.1 in the release.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    layers, width, heads = dimensions("gpt2", SIZES, size, num_layers, embed_dim, num_heads)
    output_stddev = 0.02 / (2 * layers) ** 0.5  # section 2.3: residual layers scaled by 1 / sqrt(their number)
    return Transformer(
        embed=Embed(width, vocab_size, positions=LearnedPositions(context), dropout=dropout),
        decoder=(
            Stack(
                (
                    Block(
                        norm=LayerNorm(bias=bias),
                        attention=Attention(heads, bias=bias, dropout=dropout, output_stddev=output_stddev),
                        mlp=MLP(4 * width, "gelu", bias=bias, output_stddev=output_stddev),
                        dropout=dropout,
                    ),
                ),
                repeats=layers,
            ),
        ),
        norm=LayerNorm(bias=bias),
        heads=(("lm", VocabHead(tied=True)),),
        **execution,
    )
