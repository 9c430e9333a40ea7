"""What has been found to learn faster at small sizes, together: rotary positions, normalised queries and keys
(arXiv:2010.04245), smeared keys where causal (arXiv:2209.11895), RMSNorm without parameters, heads of 64, no biases,
zero-initialised outputs, untied output."""

from dataclasses import replace
from typing import Any, Literal

from jaxlm.core import ConfigError
from jaxlm.models.layers import (
    MLP,
    Attention,
    Block,
    Classifier,
    Comparison,
    CrossAttention,
    Embed,
    RMSNorm,
    Stack,
    VocabHead,
)
from jaxlm.models.transformer import Transformer


def modern(
    *,
    num_layers: int,
    embed_dim: int,
    encoder_layers: int = 0,
    num_heads: int | None = None,
    causal: bool = True,
    activation: Literal["gelu", "gelu_exact", "relu", "relu_squared", "silu"] = "relu_squared",
    soft_cap: float | None = None,
    output_bias: bool = False,
    pairs: bool = False,
    vocab_size: int | None = None,
    **execution,
) -> Transformer:
    """A pre-norm transformer of any size; there is no published one.

    Args:
      encoder_layers: of an encoder beside, which the `num_layers` of the decoder read; 0: there is none.
      num_heads: None: heads of 64, the quickest on CPUs; one head where the model is narrower.
      causal: False for masked models.
      soft_cap: of the logits; see `VocabHead`.
      output_bias: one number for each word of the vocabulary.
      pairs: tell two token types apart, and add the two scores that sentence objectives read: of both texts compared.
      vocab_size: None: the tokenizer's.
      **execution: `dtype`, `remat`, `unroll`, `kernel` of `Transformer`.

    Raises:
      ConfigError: `pairs` of a model that does not read both ways.
    """
    if pairs and (causal or encoder_layers):
        raise ConfigError(f"modern: pairs=True needs causal=False and encoder_layers=0, here {causal} and {encoder_layers}")
    norm = RMSNorm(scale=False)
    scores = (("pairs", Classifier(2, Comparison(stddev=None), stddev=0)),) if pairs else ()
    heads = num_heads or max(1, embed_dim // 64)
    start: dict[str, Any] = {"bias": False, "stddev": None, "output_stddev": 0}
    attention = Attention(heads, causal=causal, rotary_theta=10_000.0, query_key_norm=norm, smear=causal, **start)
    block = Block(attention, MLP(4 * embed_dim, activation, **start), norm)
    encoding = replace(block, attention=replace(attention, causal=False, smear=False))
    decoding = replace(block, cross=CrossAttention(heads, **start)) if encoder_layers else block
    return Transformer(
        embed=Embed(embed_dim, vocab_size, num_token_types=2 if pairs else 0, stddev=1.0, norm=norm),
        encoder=(Stack((encoding,), repeats=encoder_layers),) if encoder_layers else (),
        decoder=(Stack((decoding,), repeats=num_layers),),
        norm=norm,
        heads=(("lm", VocabHead(tied=False, bias=output_bias, soft_cap=soft_cap, stddev=0)), *scores),
        **execution,
    )
