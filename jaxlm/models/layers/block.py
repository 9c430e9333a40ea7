"""One layer of a transformer: attention, then feed-forward, each with its norm and residual."""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
from jaxtyping import Array, Float

from jaxlm.core.errors import require_fraction
from jaxlm.core.sharding import constrain
from jaxlm.models.layers.base import Context, Mixer, Settings, dropout
from jaxlm.models.layers.norm import LayerNorm, Norm


@dataclass(frozen=True)
class Block(Settings):
    """pre: x + f(norm(x)) (GPT-2); post: norm(x + f(x)) (the 2017 transformer, BERT)."""

    attention: Mixer
    """The half that mixes tokens."""
    mlp: Settings
    """The half that treats each token alone; its module is called with (x_BLD, context) and gives y_BLD."""
    norm: Norm = LayerNorm()
    """Two of it a block: one each for attention and feed-forward."""
    norm_place: Literal["pre", "post"] = "pre"
    """Before what is added to the residual, or after the addition."""
    dropout: float = 0.0
    """Of what attention and feed-forward add to the residual."""

    def build(self, name: str) -> nn.Module:
        return BlockModule(self, name=name)

    def check(self, key: str, embed_dim: int, kernel: str) -> None:
        """Raises ConfigError where its settings do not fit."""
        require_fraction(key, self, "dropout")
        self.attention.check(f"{key}.attention", embed_dim, kernel)


class BlockModule(nn.Module):
    settings: Block

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], context: Context, cache: Any) -> tuple[Float[Array, "B L D"], Any]:
        s = self.settings
        norms = s.norm.build("attention_norm"), s.norm.build("mlp_norm")
        x_BLD = constrain(x_BLD, "batch", "length", "features")
        pre = s.norm_place == "pre"
        y_BLD, cache = s.attention.build("attention")(norms[0](x_BLD) if pre else x_BLD, context, cache)
        x_BLD = x_BLD + dropout(y_BLD, s.dropout, context.noise_B, "attention")
        x_BLD = x_BLD if pre else norms[0](x_BLD)
        x_BLD = constrain(x_BLD, "batch", "length", "features")
        y_BLD = s.mlp.build("mlp")(norms[1](x_BLD) if pre else x_BLD, context)
        x_BLD = x_BLD + dropout(y_BLD, s.dropout, context.noise_B, "mlp")
        x_BLD = x_BLD if pre else norms[1](x_BLD)
        return constrain(x_BLD, "batch", "length", "features"), cache
