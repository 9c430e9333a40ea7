"""A feed-forward layer of many experts, of which each token takes the few that a router chooses (Mixtral, arXiv:2401.04088)."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_above, require_at_least
from jaxlm.kernels.experts import Weights, mix, seated
from jaxlm.kernels.project import project
from jaxlm.models.layers.base import Context, Settings, add_loss, normal, param, weight
from jaxlm.models.layers.mlp import ACTIVATIONS


@dataclass(frozen=True)
class Experts(Settings):
    """y = sum over the chosen e of Softmax(TopK(x W_r))_e expert_e(x) (arXiv:2401.04088, section 2.1), without noise.

    Experts are MLPs without biases; the router computes in float32 (arXiv:2101.03961, section 2.4). Two losses of each row
    keep it in bounds, means over the row's tokens, summed over layers: `balance` x E sum_e f_e P_e (arXiv:2101.03961, eq. 4
    to 6), where f_e is the share of the tokens that take e and P_e their mean probability of it, over all experts; and
    `router_z` x logsumexp(x W_r)^2 (ST-MoE, arXiv:2202.08906, eq. 5). Where all experts are taken alike the sum is top_k.
    """

    num_experts: int
    """E."""
    mlp_dim: int
    """F, the width of an expert's hidden layer."""
    top_k: int = 2
    """Experts that a token takes."""
    activation: Literal["gelu", "gelu_exact", "relu", "relu_squared", "silu"] = "silu"
    """Of each expert."""
    gated: bool = True
    """Multiply what is activated by a second projection."""
    share: Literal["chosen", "all"] = "chosen"
    """The softmax that gives the shares is over the chosen experts alone (Mixtral), or over all of them (Switch)."""
    capacity_factor: float | None = None
    """c: in training an expert takes at most c x L x top_k / E tokens of a row, the first that come; those after are passed by.
    Rows alone are counted, so they do not depend on each other, but the documents of a row do. None: all are taken."""
    balance: float = 0.01
    """Coefficient of the loss that evens out how often experts are taken."""
    router_z: float = 0.001
    """Coefficient of the loss that keeps the router's logits near 0."""
    kernel: Literal["auto", "plain", "grouped"] = "auto"
    """How all are taken: through every expert, or grouped by expert; auto: plain on CPUs, where it is the faster one."""
    stddev: float | None = 0.02
    """Of initial weights, the router's too; None: 1 / sqrt(fan in)."""
    output_stddev: float | None = 0.02
    """Of initial output weights; 0: zeros."""

    def __post_init__(self) -> None:
        require_at_least(1, "experts", self, "num_experts", "mlp_dim", "top_k")
        require_at_least(0, "experts", self, "balance", "router_z")
        require_above(0, "experts", self, "capacity_factor")
        if self.top_k > self.num_experts:
            raise ConfigError(f"experts.top_k={self.top_k} is more than num_experts={self.num_experts}; choose at most as many")
        if self.top_k == 1 < self.num_experts and self.share == "chosen":
            raise ConfigError(
                "experts.top_k=1 with share='chosen': the one chosen has a share of 1 whatever the router says, so that it "
                "cannot learn; set share to 'all', or top_k to 2"
            )

    def build(self, name: str) -> nn.Module:
        return ExpertsModule(self, name=name)

    def num_idle(self, embed_dim: int) -> int:
        return (self.num_experts - self.top_k) * (2 + self.gated) * embed_dim * self.mlp_dim

    def all_active(self) -> "Experts":
        return replace(self, num_experts=self.top_k, capacity_factor=None, kernel="plain")

    def num_seats(self, length: int) -> int:
        """Of an expert in a row of this length, where there is a capacity."""
        assert self.capacity_factor is not None, "without a capacity all are taken"
        return min(length, math.ceil(self.capacity_factor * length * self.top_k / self.num_experts))


class ExpertsModule(nn.Module):
    settings: Experts

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], context: Context) -> Float[Array, "B L D"]:
        s, D, E = self.settings, x_BLD.shape[-1], self.settings.num_experts
        # its outputs are no stack of matrices: "features", so that it decays as others do
        router_DE = param(self, "router", normal(s.stddev, D), (D, E), ("embed", "features"))
        logits_BLE = project(x_BLD.astype(jnp.float32), router_DE)
        scores_BLC, chosen_BLC = jax.lax.top_k(logits_BLE, s.top_k)
        if s.share == "chosen":
            share_BLC = jax.nn.softmax(scores_BLC)
        else:
            share_BLC = jnp.take_along_axis(jax.nn.softmax(logits_BLE), chosen_BLC, axis=-1)
        self.add_losses(logits_BLE, chosen_BLC, context)
        weights = Weights(
            self.kernels("gate", s.stddev, D, x_BLD.dtype) if s.gated else None,
            self.kernels("up", s.stddev, D, x_BLD.dtype),
            self.kernels("down", s.output_stddev, D, x_BLD.dtype),
            ACTIVATIONS[s.activation],
        )
        if s.capacity_factor is not None and context.noise_B is not None:  # in training
            real_BL = context.segments_BL > 0
            return seated(x_BLD, chosen_BLC, share_BLC, weights, real_BL, s.num_seats(x_BLD.shape[1]))
        return mix(x_BLD, chosen_BLC, share_BLC, weights, s.kernel)

    def kernels(self, name: str, stddev: float | None, D: int, dtype: jnp.dtype) -> Float[Array, "E D F"]:
        E, F = self.settings.num_experts, self.settings.mlp_dim
        init = normal(stddev, F if name == "down" else D)
        return weight(self, name, init, (E, D, F), ("experts", "embed", "mlp"), dtype)

    def add_losses(self, logits_BLE: Float[Array, "B L E"], chosen_BLC: Int[Array, "B L C"], context: Context) -> None:
        s = self.settings
        real_BL = (context.segments_BL > 0).astype(jnp.float32)
        weight_BL = real_BL / real_BL.sum(-1, keepdims=True).clip(1)
        taken_BE = jnp.einsum("blce,bl->be", jax.nn.one_hot(chosen_BLC, s.num_experts), weight_BL)
        probability_BE = jnp.einsum("ble,bl->be", jax.nn.softmax(logits_BLE), weight_BL)
        if s.balance:
            add_loss(self, "router_balance", s.balance * s.num_experts * (taken_BE * probability_BE).sum(-1))
        if s.router_z:
            z_BL = jax.nn.logsumexp(logits_BLE, axis=-1) ** 2
            add_loss(self, "router_z", s.router_z * (z_BL * weight_BL).sum(-1))
