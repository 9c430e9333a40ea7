"""A family of one's own from existing layers: wide and narrow layers in turn, any size.

jaxlm train own_family.py --width 192
"""

from dataclasses import replace

import jaxlm
from jaxlm.models import Transformer
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, Stack, VocabHead


def hourglass(width: int, repeats: int, **execution) -> Transformer:
    """Per repeat: a gated layer with few key/value heads, then a narrow one; rotary positions, normalised queries and keys."""
    norm = RMSNorm()
    attention = Attention(width // 32, num_kv_heads=2, rotary_theta=10_000.0, query_key_norm=norm, bias=False)
    wide = Block(attention, MLP(4 * width, "silu", gated=True, bias=False), norm)
    narrow = Block(replace(attention, smear=True), MLP(width, "relu_squared", bias=False), norm)
    return Transformer(
        embed=Embed(width, norm=norm),
        decoder=(Stack((wide, narrow), repeats),),
        norm=norm,
        heads=(("lm", VocabHead(tied=True, soft_cap=30.0)),),
        **execution,
    )


def config(*, width: int = 128):
    return replace(jaxlm.recipe("nano/gpt2"), model=hourglass(width, repeats=2, unroll=True))
