"""Normalisation: statistics in float32, result in the input's dtype."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.models.layers.base import Settings, param


@dataclass(frozen=True)
class LayerNorm(Settings):
    """(x - mean) / sqrt(var + epsilon) * scale + bias, over the last dim (arXiv:1607.06450)."""

    epsilon: float = 1e-5
    """Added to the variance."""
    bias: bool = True
    """A learned shift."""

    def build(self, name: str, axis: str = "embed") -> nn.Module:
        return LayerNormModule(self, axis, name=name)


@dataclass(frozen=True)
class RMSNorm(Settings):
    """x / sqrt(mean(x^2) + epsilon) * scale, over the last dim (arXiv:1910.07467)."""

    epsilon: float = 1e-5
    """Added to the mean square."""
    scale: bool = True
    """A learned scale; without it the layer has no parameters."""

    def build(self, name: str, axis: str = "embed") -> nn.Module:
        return RMSNormModule(self, axis, name=name)


class LayerNormModule(nn.Module):
    settings: LayerNorm
    axis: str
    """Logical name of the dim that is normalised."""

    @nn.compact
    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        scale_D = param(self, "scale", nn.initializers.ones, x.shape[-1:], (self.axis,))
        x32 = x.astype(jnp.float32)
        centred = x32 - x32.mean(-1, keepdims=True)
        y = centred * jnp.reciprocal(jnp.sqrt((centred * centred).mean(-1, keepdims=True) + self.settings.epsilon)) * scale_D
        if self.settings.bias:
            y = y + param(self, "bias", nn.initializers.zeros, x.shape[-1:], (self.axis,))
        return y.astype(x.dtype)


class RMSNormModule(nn.Module):
    settings: RMSNorm
    axis: str
    """Logical name of the dim that is normalised."""

    @nn.compact
    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        x32 = x.astype(jnp.float32)
        y = x32 * jnp.reciprocal(jnp.sqrt((x32 * x32).mean(-1, keepdims=True) + self.settings.epsilon))
        if self.settings.scale:
            y = y * param(self, "scale", nn.initializers.ones, x.shape[-1:], (self.axis,))
        return y.astype(x.dtype)


Norm = LayerNorm | RMSNorm
