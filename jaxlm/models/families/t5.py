"""T5 1.0 (arXiv:1910.10683): encoder-decoder, pre-norm, RMSNorm, relative bias, ReLU, attention without scale, no biases, one
table for both texts and the output, where it is scaled by 1 / sqrt(D)."""

from dataclasses import fields, replace
from typing import Literal

from jaxlm.models.families import dimensions
from jaxlm.models.layers import MLP, Attention, Block, CrossAttention, Embed, RelativeBias, RMSNorm, Stack, VocabHead
from jaxlm.models.transformer import Transformer

SIZES = {  # layers of each side, width, heads, head size, feed-forward width: section 3.7 and, of the smaller, 3.1.2
    "small": (6, 512, 8, 64, 2048),
    "base": (12, 768, 12, 64, 3072),
    "large": (24, 1024, 16, 64, 4096),
    "3b": (24, 1024, 32, 128, 16_384),
    "11b": (24, 1024, 128, 128, 65_536),
}


def t5(
    size: Literal["small", "base", "large", "3b", "11b"] | None = None,
    *,
    num_layers: int | None = None,
    embed_dim: int | None = None,
    num_heads: int | None = None,
    head_dim: int | None = None,
    mlp_dim: int | None = None,
    vocab_size: int | None = None,
    dropout: float = 0.1,
    **execution,
) -> Transformer:
    """T5 1.0 of a published size, or of any other where its numbers are given.

    The release drops after each side's last norm too; here nothing is dropped there.

    Args:
      num_layers: of the encoder, and of the decoder.
      head_dim: None: the size's, else embed_dim / num_heads.
      mlp_dim: None: the size's, else four times the width.
      vocab_size: 32,128 in the release; None: the tokenizer's.
      dropout: of embeddings, attention weights, feed-forward's hidden layers and residuals.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.
    """
    if size is None and num_heads and embed_dim:  # what follows from the others where there is no table to read
        head_dim, mlp_dim = head_dim or embed_dim // num_heads, mlp_dim or 4 * embed_dim
    given = (num_layers, embed_dim, num_heads, head_dim, mlp_dim)
    layers, width, heads, head_size, feed_forward = dimensions("t5", SIZES, size, *given)
    attention = Attention(
        heads,
        head_dim=head_size,
        scale=1.0,
        bias=False,
        dropout=dropout,
        stddev=None,
        query_stddev=(width * head_size) ** -0.5,  # the scale, once at the start
        output_stddev=None,
    )
    cross = CrossAttention(**{field.name: getattr(attention, field.name) for field in fields(CrossAttention)})
    mlp = MLP(feed_forward, "relu", bias=False, dropout=dropout, stddev=None, output_stddev=None)
    decoding = Block(attention, mlp, RMSNorm(epsilon=1e-6), dropout=dropout, cross=cross)
    encoding = replace(decoding, attention=replace(attention, causal=False), cross=None)
    return Transformer(
        embed=Embed(width, vocab_size, dropout=dropout, stddev=1.0),
        encoder=(Stack((encoding,), repeats=layers),),
        decoder=(Stack((decoding,), repeats=layers),),
        norm=RMSNorm(epsilon=1e-6),
        relative_bias=RelativeBias(heads, stddev=width**-0.5),
        heads=(("lm", VocabHead(tied=True, scale_by_inverse_sqrt_dim=True)),),
        **execution,
    )
