"""The feed-forward half of a block."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core.sharding import constrain
from jaxlm.kernels.project import project
from jaxlm.models.layers.base import Context, Settings, dropout, normal, param, weight

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": partial(jax.nn.gelu, approximate=True),  # GPT-2's tanh form
    "gelu_exact": partial(jax.nn.gelu, approximate=False),  # BERT's
    "relu": jax.nn.relu,
    "relu_squared": lambda x: jnp.square(jax.nn.relu(x)),  # arXiv:2109.08668
    "silu": jax.nn.silu,
}


@dataclass(frozen=True)
class MLP(Settings):
    """down(activation(up(x))), or down(activation(gate(x)) * up(x)) where gated (SwiGLU: silu; arXiv:2002.05202)."""

    mlp_dim: int
    """F, the width of the hidden layer."""
    activation: Literal["gelu", "gelu_exact", "relu", "relu_squared", "silu"] = "gelu"
    """gelu is the tanh approximation, gelu_exact the error function, relu_squared relu(x)^2 (arXiv:2109.08668)."""
    gated: bool = False
    """Multiply what is activated by a second projection."""
    bias: bool = True
    """In all projections."""
    dropout: float = 0.0
    """Of the hidden layer."""
    stddev: float | None = 0.02
    """Of initial weights; None: 1 / sqrt(fan in)."""
    output_stddev: float | None = 0.02
    """Of initial output weights; 0: zeros."""

    def build(self, name: str) -> nn.Module:
        return MLPModule(self, name=name)


class MLPModule(nn.Module):
    settings: MLP

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], context: Context) -> Float[Array, "B L D"]:
        s, D, F = self.settings, x_BLD.shape[-1], self.settings.mlp_dim
        h_BLF = ACTIVATIONS[s.activation](self.up("gate" if s.gated else "up", x_BLD))
        if s.gated:
            h_BLF = h_BLF * self.up("up", x_BLD)
        h_BLF = dropout(constrain(h_BLF, "batch", "length", "mlp"), s.dropout, context.noise_B, "mlp hidden")
        # kept as [D, F]: its gradient is the faster product on CPUs, and elsewhere the orientation is free
        down_DF = weight(self, "down", normal(s.output_stddev, F), (D, F), ("embed", "mlp"), h_BLF.dtype)
        y_BLD = project(h_BLF, down_DF.T)
        if s.bias:
            y_BLD = y_BLD + param(self, "down_bias", nn.initializers.zeros, (D,), ("embed",)).astype(x_BLD.dtype)
        return y_BLD

    def up(self, name: str, x_BLD: Float[Array, "B L D"]) -> Float[Array, "B L F"]:
        s, D, F = self.settings, x_BLD.shape[-1], self.settings.mlp_dim
        kernel_DF = weight(self, name, normal(s.stddev, D), (D, F), ("embed", "mlp"), x_BLD.dtype)
        h_BLF = project(x_BLD, kernel_DF)
        if s.bias:
            h_BLF = h_BLF + param(self, f"{name}_bias", nn.initializers.zeros, (F,), ("mlp",)).astype(x_BLD.dtype)
        return h_BLF
