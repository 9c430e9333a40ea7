"""One layer of a transformer: attention, in a decoder attention to its encoder, then feed-forward, each with norm and residual."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import flax.linen as nn
from jaxtyping import Array, Float

from jaxlm.core.errors import require_fraction
from jaxlm.core.sharding import constrain
from jaxlm.models.layers.base import Context, Mixer, Settings, dropout
from jaxlm.models.layers.cross_attention import CrossAttention
from jaxlm.models.layers.norm import LayerNorm, Norm


@dataclass(frozen=True)
class Block(Settings):
    """pre: x + f(norm(x)) (GPT-2); post: norm(x + f(x)) (the 2017 transformer, BERT); sandwich: x + norm(f(norm(x))) (Gemma 2)."""

    attention: Mixer
    """The half that mixes tokens."""
    mlp: Settings
    """The half that treats each token alone, an MLP or experts; its module is called with (x_BLD, context) and gives y_BLD."""
    norm: Norm = LayerNorm()
    """One each for the attentions and feed-forward; two each in a sandwich."""
    norm_place: Literal["pre", "post", "sandwich"] = "pre"
    """Before attention and feed-forward; after their result is added to the residual; or before them and of their result."""
    dropout: float = 0.0
    """Of what attention and feed-forward add to the residual."""
    cross: CrossAttention | None = None
    """Of a decoder's block, between the two: what it takes from the encoder; None: nothing."""

    def build(self, name: str) -> nn.Module:
        return BlockModule(self, name=name)

    def init_cache(self, embed_dim: int, batch_size: int, length: int, encoder_length: int, dtype: str) -> Any:
        """An empty cache of this block: its attention's, or the pair of that and what is kept of the encoder."""
        own = self.attention.init_cache(embed_dim, batch_size, length, dtype)
        return own if self.cross is None else (own, self.cross.init_cache(embed_dim, batch_size, encoder_length, dtype))

    def flops_per_token(self, embed_dim: int, seq_len: int, encoder_length: int) -> float:
        """Of a training token, beside those of its weights: where it meets its own side's tokens, and the encoder's."""
        crossing = 0.0 if self.cross is None else self.cross.flops_per_token(embed_dim, encoder_length)
        return self.attention.flops_per_token(embed_dim, seq_len) + crossing

    def num_idle(self, embed_dim: int) -> int:
        return self.mlp.num_idle(embed_dim)

    def all_active(self) -> "Block":
        return replace(self, mlp=self.mlp.all_active())

    def check(self, key: str, embed_dim: int, kernel: str) -> None:
        """Raises ConfigError where its settings do not fit."""
        require_fraction(key, self, "dropout")
        self.attention.check(f"{key}.attention", embed_dim, kernel)
        if self.cross is not None:
            self.cross.check(f"{key}.cross", embed_dim, kernel)
        require_fraction(f"{key}.mlp", self.mlp, *(("dropout",) if hasattr(self.mlp, "dropout") else ()))


class BlockModule(nn.Module):
    settings: Block

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], context: Context, cache: Any) -> tuple[Float[Array, "B L D"], Any]:
        s = self.settings
        x_BLD = constrain(x_BLD, "batch", "length", "features")
        own, crossed = cache if s.cross is not None and cache is not None else (cache, None)
        y_BLD, own = s.attention.build("attention")(self.before("attention", x_BLD), context, own)
        x_BLD = self.after("attention", x_BLD, y_BLD, context)
        if s.cross is not None:
            y_BLD, crossed = s.cross.build("cross_attention")(self.before("cross_attention", x_BLD), context, crossed)
            x_BLD = self.after("cross_attention", x_BLD, y_BLD, context)
        y_BLD = s.mlp.build("mlp")(self.before("mlp", x_BLD), context)
        filled = own if s.cross is None or cache is None else (own, crossed)
        return self.after("mlp", x_BLD, y_BLD, context), filled

    def before(self, half: str, x_BLD: Array) -> Array:
        """What this half of the block is given."""
        return x_BLD if self.settings.norm_place == "post" else self.settings.norm.build(f"{half}_norm")(x_BLD)

    def after(self, half: str, x_BLD: Array, y_BLD: Array, context: Context) -> Array:
        """x with what this half made of it, y, added."""
        s = self.settings
        if s.norm_place == "sandwich":
            y_BLD = s.norm.build(f"{half}_result_norm")(y_BLD)
        x_BLD = x_BLD + dropout(y_BLD, s.dropout, context.noise_B, half)
        if s.norm_place == "post":
            x_BLD = s.norm.build(f"{half}_norm")(x_BLD)
        return constrain(x_BLD, "batch", "length", "features")
