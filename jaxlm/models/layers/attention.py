"""Multi-head self-attention with grouped key/value heads (arXiv:1706.03762, section 3.2; arXiv:2305.13245)."""

from dataclasses import dataclass

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_above, require_at_least
from jaxlm.kernels.attention import attend
from jaxlm.models.layers.base import Context, Mixer, param
from jaxlm.models.layers.norm import Norm
from jaxlm.models.layers.positions import RotaryScaling, rotate
from jaxlm.models.layers.projections import KeyValue, Projections, ProjectionsModule
from jaxlm.models.layers.smear import smeared


@dataclass(frozen=True)
class Attention(Projections, Mixer):
    """softmax(q k^T / sqrt(K)) v over the tokens of the same segment; where causal those before alone, and all of the
    segment's prefix if the inputs mark one (arXiv:1910.10683, section 3.2.1)."""

    causal: bool = True
    """Tokens see none that come after them."""
    window: int | None = None
    """Tokens see those less than this many positions away alone (a local band); None: all."""
    soft_cap: float | None = None
    """c: these scores become c * tanh(scores / c); None: no cap."""
    rotary_theta: float | None = None
    """Base of rotary positions; None: no rotation."""
    rotary_scaling: RotaryScaling | None = None
    """Slows rotary positions down for long texts (Llama 3.1); None: not."""
    query_key_norm: Norm | None = None
    """Normalises queries and keys per head, before the rotation (arXiv:2010.04245)."""
    smear: bool = False
    """Each key takes a learned share of the one before it, so that a single layer can find what followed a token when it
    last stood there (smeared keys: Olsson et al. 2022, arXiv:2209.11895, section "Argument 2")."""

    def build(self, name: str) -> nn.Module:
        return AttentionModule(self, name=name)

    def check(self, key: str, embed_dim: int, kernel: str) -> None:
        super().check(key, embed_dim, kernel)
        require_at_least(1, key, self, "window")
        require_above(0, key, self, "soft_cap")
        size = self.head_size(embed_dim)
        if self.rotary_theta is not None and size % 2:
            raise ConfigError(f"{key}: rotary positions need an even head size, not {size}; change num_heads or head_dim")
        if self.rotary_scaling is not None:
            self.rotary_scaling.check(f"{key}.rotary_scaling")


class AttentionModule(ProjectionsModule):
    settings: Attention

    @nn.compact
    def __call__(
        self, x_BLD: Float[Array, "B L D"], context: Context, cache: KeyValue | None
    ) -> tuple[Float[Array, "B L D"], KeyValue | None]:
        s = self.settings
        q_BLHK, k_BLGK, v_BLGK = self.queries(x_BLD), self.keys_or_values("key", x_BLD), self.keys_or_values("value", x_BLD)
        q_BLHK, k_BLGK = self.place(q_BLHK, "query_norm", context), self.place(k_BLGK, "key_norm", context)
        if cache is not None:
            cache = _write(cache[0], k_BLGK, context), _write(cache[1], v_BLGK, context)
            k_BLGK, v_BLGK = (filled.astype(x_BLD.dtype) for filled in cache)
        if s.smear:
            share_G = nn.sigmoid(param(self, "smear", nn.initializers.zeros, (s.kv_heads(),), ("kv_heads",)))
            k_BLGK = smeared(k_BLGK, share_G, context.key_segments_BS)
        mixed_BLHK = attend(
            q_BLHK,
            k_BLGK,
            v_BLGK,
            positions=(context.positions_BL, context.key_positions_BS),
            segments=(context.segments_BL, context.key_segments_BS),
            causal=s.causal,
            window=s.window,
            prefix_BS=context.key_prefix_BS,
            scale=s.scale,
            bias_BHLS=context.bias_BHLS,
            soft_cap=s.soft_cap,
            drop=self.drop(context, "attention weights"),
            kernel=context.kernel,
        )
        return self.output(mixed_BLHK, x_BLD.shape[-1]), cache

    def place(self, x: Float[Array, "B L H K"], norm_name: str, context: Context) -> Float[Array, "B L H K"]:
        s = self.settings
        if s.query_key_norm is not None:
            x = s.query_key_norm.build(norm_name, "head_dim")(x)
        return x if s.rotary_theta is None else rotate(x, context.positions_BL, s.rotary_theta, s.rotary_scaling)


def _write(old_BSGK: Array, new_BLGK: Array, context: Context) -> Array:
    assert context.cache_index is not None, "a call with a cache says where in it its keys go"
    return jax.lax.dynamic_update_slice_in_dim(old_BSGK, new_BLGK.astype(old_BSGK.dtype), context.cache_index, axis=1)
