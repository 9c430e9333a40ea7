"""The transformer of 2017 (arXiv:1706.03762): encoder-decoder, post-norm, sinusoids, ReLU, one table for both texts and the
output, its vectors scaled by sqrt(D)."""

from dataclasses import replace
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, CrossAttention, Embed, LayerNorm, SinusoidalPositions, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers of each side, width, heads, feed-forward width: table 3
    "base": (6, 512, 8, 2048),
    "big": (6, 1024, 16, 4096),
}


def transformer_2017(
    size: Literal["base", "big"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    mlp_dim: int | None = None,
    vocab_size: int | None = None,
    dropout: float | None = None,
    norm_place: Literal["pre", "post"] = "post",
    **execution,
) -> Transformer:
    """The 2017 transformer of a published size, or of any other where its numbers are given.

    Args:
      num_layers: of the encoder, and of the decoder.
      mlp_dim: None: the size's, else four times the width.
      vocab_size: some 37,000 for English and German; None: the tokenizer's.
      dropout: of embeddings and residuals (section 5.4); None: 0.3 for "big", else 0.1, as table 3 has them.
      norm_place: "post" in the paper; "pre" learns without a long warm-up (arXiv:2002.04745).
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    if size is None and embed_dim:
        mlp_dim = mlp_dim or 4 * embed_dim
    layers, width, heads, feed_forward = dimensions("transformer_2017", SIZES, size, num_layers, embed_dim, num_heads, mlp_dim)
    rate = dropout if dropout is not None else 0.3 if size == "big" else 0.1
    attention = Attention(heads, bias=False, stddev=None, output_stddev=None)
    mlp = MLP(feed_forward, "relu", stddev=None, output_stddev=None)
    decoding = Block(
        attention=attention,
        mlp=mlp,
        norm=LayerNorm(),
        norm_place=norm_place,
        dropout=rate,
        cross=CrossAttention(heads, bias=False, stddev=None, output_stddev=None),
    )
    encoding = replace(decoding, attention=replace(attention, causal=False), cross=None)
    return Transformer(
        embed=Embed(width, vocab_size, positions=SinusoidalPositions(), scale_by_sqrt_dim=True, dropout=rate, stddev=None),
        encoder=(Stack((encoding,), repeats=layers),),
        decoder=(Stack((decoding,), repeats=layers),),
        norm=LayerNorm() if norm_place == "pre" else None,
        heads=(("lm", VocabHead(tied=True)),),
        **execution,
    )
