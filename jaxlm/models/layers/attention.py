"""Multi-head self-attention with grouped key/value heads (arXiv:1706.03762, section 3.2; arXiv:2305.13245)."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_above, require_at_least, require_fraction
from jaxlm.core.sharding import constrain
from jaxlm.kernels.attention import attend
from jaxlm.kernels.project import project
from jaxlm.models.layers.base import Context, Mixer, dropout, normal, param
from jaxlm.models.layers.norm import Norm
from jaxlm.models.layers.positions import RotaryScaling, rotate
from jaxlm.models.layers.smear import smeared

KeyValue = tuple[Array, Array]
"""Cached keys and values of one layer, each [B, S, G, K]."""


@dataclass(frozen=True)
class Attention(Mixer):
    """softmax(q k^T / sqrt(K)) v over the tokens of the same segment; where causal those before alone, and all of the
    segment's prefix if the inputs mark one (arXiv:1910.10683, section 3.2.1)."""

    num_heads: int
    """H; they share the width of the model unless `head_dim` is given."""
    num_kv_heads: int | None = None
    """Key/value heads, each shared by num_heads / num_kv_heads heads; None: as many as heads."""
    head_dim: int | None = None
    """None: embed_dim / num_heads."""
    causal: bool = True
    """Tokens see none that come after them."""
    window: int | None = None
    """Tokens see those less than this many positions away alone (a local band); None: all."""
    scale: float | None = None
    """Of the products of queries and keys; None: 1 / sqrt(head_dim)."""
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
    bias: bool = True
    """In all projections."""
    dropout: float = 0.0
    """Of the attention weights."""
    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(fan in)."""
    output_stddev: float | None = 0.02
    """Of initial output weights; 0: zeros."""

    def build(self, name: str) -> nn.Module:
        return AttentionModule(self, name=name)

    def kv_heads(self) -> int:
        return self.num_kv_heads or self.num_heads

    def head_size(self, embed_dim: int) -> int:
        return self.head_dim or embed_dim // self.num_heads

    def init_cache(self, embed_dim: int, batch_size: int, length: int, dtype: str) -> KeyValue:
        shape = (batch_size, length, self.kv_heads(), self.head_size(embed_dim))
        return jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)

    def flops_per_token(self, embed_dim: int, seq_len: int) -> float:
        """Scores and mixing of all pairs, not halved where causal (arXiv:2204.02311, appendix B), nor cut to a window."""
        return 12.0 * self.num_heads * self.head_size(embed_dim) * seq_len

    def check(self, key: str, embed_dim: int, kernel: str) -> None:
        require_at_least(1, key, self, "num_heads", "num_kv_heads", "window")
        require_above(0, key, self, "scale", "soft_cap")
        require_fraction(key, self, "dropout")
        if self.head_dim is None and embed_dim % self.num_heads:
            raise ConfigError(
                f"{key}.num_heads={self.num_heads} does not divide embed_dim={embed_dim}; choose a divisor or set head_dim"
            )
        if self.num_heads % self.kv_heads():
            raise ConfigError(
                f"{key}.num_kv_heads={self.num_kv_heads} does not divide num_heads={self.num_heads}; choose a divisor"
            )
        size = self.head_size(embed_dim)
        if self.rotary_theta is not None and size % 2:
            raise ConfigError(f"{key}: rotary positions need an even head size, not {size}; change num_heads or head_dim")
        if self.rotary_scaling is not None:
            self.rotary_scaling.check(f"{key}.rotary_scaling")
        if self.dropout and kernel == "blocked":
            raise ConfigError(
                f"{key}.dropout={self.dropout}: model.kernel='blocked' cannot drop weights; set it to 0 or kernel to 'plain'"
            )


class AttentionModule(nn.Module):
    settings: Attention

    @nn.compact
    def __call__(
        self, x_BLD: Float[Array, "B L D"], context: Context, cache: KeyValue | None
    ) -> tuple[Float[Array, "B L D"], KeyValue | None]:
        s, D = self.settings, x_BLD.shape[-1]
        H, G, K = s.num_heads, s.kv_heads(), s.head_size(D)
        q_BLHK = constrain(self.project("query", x_BLD, H, K, "heads"), "batch", "length", "heads", None)
        k_BLGK = constrain(self.project("key", x_BLD, G, K, "kv_heads"), "batch", "length", "kv_heads", None)
        v_BLGK = constrain(self.project("value", x_BLD, G, K, "kv_heads"), "batch", "length", "kv_heads", None)
        q_BLHK, k_BLGK = self.place(q_BLHK, "query_norm", context), self.place(k_BLGK, "key_norm", context)
        if cache is not None:
            cache = _write(cache[0], k_BLGK, context), _write(cache[1], v_BLGK, context)
            k_BLGK, v_BLGK = (filled.astype(x_BLD.dtype) for filled in cache)
        if s.smear:
            share_G = nn.sigmoid(param(self, "smear", nn.initializers.zeros, (G,), ("kv_heads",)))
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
            soft_cap=s.soft_cap,
            drop=(lambda p: dropout(p, s.dropout, context.noise_B, "attention weights")) if s.dropout else None,
            kernel=context.kernel,
        )
        out_HKD = param(self, "out", normal(s.output_stddev, H * K), (H, K, D), ("heads", "head_dim", "embed"))
        y_BLD = project(mixed_BLHK, out_HKD, contracted=2)
        if s.bias:
            y_BLD = y_BLD + param(self, "out_bias", nn.initializers.zeros, (D,), ("embed",)).astype(x_BLD.dtype)
        return y_BLD, cache

    def project(self, name: str, x_BLD: Float[Array, "B L D"], heads: int, K: int, axis: str) -> Float[Array, "B L H K"]:
        D = x_BLD.shape[-1]
        kernel = param(self, name, normal(self.settings.stddev, D), (D, heads, K), ("embed", axis, "head_dim"))
        y = project(x_BLD, kernel)
        if self.settings.bias:
            y = y + param(self, f"{name}_bias", nn.initializers.zeros, (heads, K), (axis, "head_dim")).astype(x_BLD.dtype)
        return y

    def place(self, x: Float[Array, "B L H K"], norm_name: str, context: Context) -> Float[Array, "B L H K"]:
        s = self.settings
        if s.query_key_norm is not None:
            x = s.query_key_norm.build(norm_name, "head_dim")(x)
        return x if s.rotary_theta is None else rotate(x, context.positions_BL, s.rotary_theta, s.rotary_scaling)


def _write(old_BSGK: Array, new_BLGK: Array, context: Context) -> Array:
    assert context.cache_index is not None, "a call with a cache says where in it its keys go"
    return jax.lax.dynamic_update_slice_in_dim(old_BSGK, new_BLGK.astype(old_BSGK.dtype), context.cache_index, axis=1)
