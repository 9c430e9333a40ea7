"""From ids to vectors."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core import Inputs
from jaxlm.core.sharding import constrain
from jaxlm.models.layers.base import Context, Settings, dropout, normal, param
from jaxlm.models.layers.norm import Norm
from jaxlm.models.layers.positions import LearnedPositions, SinusoidalPositions


@dataclass(frozen=True)
class Embed(Settings):
    """Token vectors plus, where set, those of positions and token types; then a norm and dropout (BERT)."""

    embed_dim: int
    """D, the width of the model."""
    vocab_size: int | None = None
    """None: the tokenizer's."""
    table_multiple: int = 1
    """The table's rows are padded to a multiple of this, so that a mesh axis divides them; the rest is never predicted."""
    positions: LearnedPositions | SinusoidalPositions | None = None
    """Vectors of positions that are added; None: none (rotary positions are the attention's)."""
    num_token_types: int = 0
    """Kinds of tokens with a vector each (BERT's sentences A and B); 0: none."""
    norm: Norm | None = None
    """Of the sum; None: none."""
    scale_by_sqrt_dim: bool = False
    """Multiply token vectors by sqrt(embed_dim) (the 2017 transformer)."""
    dropout: float = 0.0
    """Of the result."""
    stddev: float | None = 0.02
    """Of initial vectors; None: 1 / sqrt(embed_dim)."""

    def build(self, name: str) -> nn.Module:
        return EmbedModule(self, name=name)

    def size(self) -> int:
        """V, without padding."""
        assert self.vocab_size is not None, "the model's vocabulary size is filled in from the tokenizer before it is built"
        return self.vocab_size

    def table_rows(self) -> int:
        return -(-self.size() // self.table_multiple) * self.table_multiple


class EmbedModule(nn.Module):
    settings: Embed

    @nn.compact
    def __call__(self, inputs: Inputs, context: Context) -> tuple[Float[Array, "B L D"], Float[Array, "V D"]]:
        """The vectors, and the table for a tied output; float32."""
        s, D = self.settings, self.settings.embed_dim
        table_VD = param(self, "table", normal(s.stddev, D), (s.table_rows(), D), ("vocab", "embed"))
        x_BLD = constrain(table_VD, "vocab", None)[inputs.tokens_BL]  # gathered whole in D, or the partitioner copies it
        if s.scale_by_sqrt_dim:
            x_BLD = x_BLD * jnp.sqrt(jnp.float32(D))
        if s.positions is not None:
            x_BLD = x_BLD + s.positions.build("positions")(inputs.positions_BL, D)
        if s.num_token_types:
            types_TD = param(self, "token_types", normal(s.stddev, D), (s.num_token_types, D), ("positions", "embed"))
            types_BL = jnp.zeros_like(inputs.tokens_BL) if inputs.token_types_BL is None else inputs.token_types_BL
            x_BLD = x_BLD + constrain(types_TD, "positions", None)[types_BL]
        x_BLD = constrain(x_BLD, "batch", "length", "features")
        if s.norm is not None:
            x_BLD = s.norm.build("norm")(x_BLD)
        return dropout(x_BLD, s.dropout, context.noise_B, "embed"), table_VD
