"""What all attention shares: projections of vectors into heads and back (arXiv:1706.03762, section 3.2.2)."""

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_above, require_at_least, require_fraction
from jaxlm.core.sharding import constrain
from jaxlm.kernels.project import project
from jaxlm.models.layers.base import Context, Settings, dropout, normal, param, weight

KeyValue = tuple[Array, Array]
"""Cached keys and values of one layer, each [B, S, G, K]."""


@dataclass(frozen=True)
class Projections(Settings):
    """Heads, their projections and the dropout of their weights."""

    num_heads: int
    """H; they share the width of the model unless `head_dim` is given."""
    num_kv_heads: int | None = None
    """Key/value heads, each shared by num_heads / num_kv_heads heads; None: as many as heads."""
    head_dim: int | None = None
    """None: embed_dim / num_heads."""
    scale: float | None = None
    """Of the products of queries and keys; None: 1 / sqrt(head_dim)."""
    bias: bool = True
    """In all projections."""
    dropout: float = 0.0
    """Of the attention weights."""
    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(fan in)."""
    query_stddev: float | None = None
    """Of initial query weights where it is another, as where `scale` is left to them (T5); None: `stddev`'s."""
    output_stddev: float | None = 0.02
    """Of initial output weights; None: 1 / sqrt(fan in); 0: zeros."""

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
        """Raises ConfigError where its settings do not fit each other or the model's; `key` is its own."""
        require_at_least(1, key, self, "num_heads", "num_kv_heads")
        require_above(0, key, self, "scale")
        require_fraction(key, self, "dropout")
        if self.head_dim is None and embed_dim % self.num_heads:
            raise ConfigError(
                f"{key}.num_heads={self.num_heads} does not divide embed_dim={embed_dim}; choose a divisor or set head_dim"
            )
        if self.num_heads % self.kv_heads():
            raise ConfigError(
                f"{key}.num_kv_heads={self.num_kv_heads} does not divide num_heads={self.num_heads}; choose a divisor"
            )
        if self.dropout and kernel == "blocked":
            raise ConfigError(
                f"{key}.dropout={self.dropout}: model.kernel='blocked' cannot drop weights; set it to 0 or kernel to 'plain'"
            )


class ProjectionsModule(nn.Module):
    """The parameters, used from the `nn.compact` call of the module that extends it."""

    settings: Projections

    def queries(self, x_BLD: Float[Array, "B L D"]) -> Float[Array, "B L H K"]:
        s = self.settings
        return self._into_heads("query", x_BLD, s.num_heads, "heads", s.stddev if s.query_stddev is None else s.query_stddev)

    def keys_or_values(self, name: str, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S G K"]:
        return self._into_heads(name, x_BSD, self.settings.kv_heads(), "kv_heads", self.settings.stddev)

    def output(self, mixed_BLHK: Float[Array, "B L H K"], D: int) -> Float[Array, "B L D"]:
        s, (H, K) = self.settings, mixed_BLHK.shape[2:]
        axes = "heads", "head_dim", "embed"
        out_HKD = weight(self, "out", normal(s.output_stddev, H * K), (H, K, D), axes, mixed_BLHK.dtype)
        y_BLD = project(mixed_BLHK, out_HKD, contracted=2)
        if s.bias:
            y_BLD = y_BLD + param(self, "out_bias", nn.initializers.zeros, (D,), ("embed",)).astype(y_BLD.dtype)
        return y_BLD

    def drop(self, context: Context, place: str) -> Callable[[Array], Array] | None:
        """Dropout of the weights, keyed by `place`; None: none."""
        rate = self.settings.dropout
        return (lambda weights: dropout(weights, rate, context.noise_B, place)) if rate else None

    def _into_heads(self, name: str, x: Float[Array, "B L D"], heads: int, axis: str, stddev: float | None) -> Array:
        D, K = x.shape[-1], self.settings.head_size(x.shape[-1])
        y = project(x, weight(self, name, normal(stddev, D), (D, heads, K), ("embed", axis, "head_dim"), x.dtype))
        if self.settings.bias:
            y = y + param(self, f"{name}_bias", nn.initializers.zeros, (heads, K), (axis, "head_dim")).astype(x.dtype)
        return constrain(y, "batch", "length", axis, None)
