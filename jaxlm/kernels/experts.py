"""Feed-forward experts of which each token takes some: arrays in, arrays out. None is left out and none padded for, but where
there are seats."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxlm.core.lookup import choose
from jaxlm.core.sharding import constrain, platform, within_shards

KERNELS = {
    "plain": "jaxlm.kernels.experts:plain",
    "grouped": "jaxlm.kernels.experts:grouped",
}


class Weights(NamedTuple):
    """Of all experts; each is down(activation(gate(x)) * up(x)), or down(activation(up(x))) without gates."""

    gate_EDF: Float[Array, "E D F"] | None
    up_EDF: Float[Array, "E D F"]
    down_EDF: Float[Array, "E D F"]
    activation: Callable[[Array], Array]

    def hidden(self, product: Callable[[Array], Array]) -> Array:
        """Of `product`, the tokens times one of these kernels."""
        h = self.activation(product(self.up_EDF if self.gate_EDF is None else self.gate_EDF))
        return h if self.gate_EDF is None else h * product(self.up_EDF)


def mix(
    x_BLD: Float[Array, "B L D"],
    chosen_BLC: Int[Array, "B L C"],
    share_BLC: Float[Array, "B L C"],
    weights: Weights,
    kernel: str = "auto",
) -> Float[Array, "B L D"]:
    """Sum over the C experts that a token takes of share x expert(token).

    Args:
      kernel: a name of KERNELS, or "auto": "plain" on CPUs, else "grouped".
    """
    if kernel == "auto":
        kernel = "plain" if platform() == "cpu" else "grouped"
    return choose(KERNELS, kernel, "kernel")(x_BLD, chosen_BLC, share_BLC, weights)


def plain(x_BLD: Array, chosen_BLC: Array, share_BLC: Array, weights: Weights) -> Array:
    """Every token through every expert, those that it does not take with a share of 0: E / C times the work."""
    (B, L, D), (E, _, F) = x_BLD.shape, weights.up_EDF.shape
    share_BLE = (jax.nn.one_hot(chosen_BLC, E, dtype=x_BLD.dtype) * share_BLC[..., None].astype(x_BLD.dtype)).sum(2)
    x_ND = x_BLD.reshape(B * L, D)  # as in `project`, for CPUs
    h_BLEF = weights.hidden(lambda kernel_EDF: jnp.einsum("nd,edf->nef", x_ND, kernel_EDF).reshape(B, L, E, F))
    h_BLEF = constrain(h_BLEF * share_BLE[..., None], "batch", "length", "experts", "mlp")
    return jnp.einsum("nef,edf->nd", h_BLEF.reshape(B * L, E, F), weights.down_EDF).reshape(B, L, D)


def grouped(x_BLD: Array, chosen_BLC: Array, share_BLC: Array, weights: Weights) -> Array:
    """Tokens sorted by expert, in products of ragged groups (`jax.lax.ragged_dot`; MegaBlocks, arXiv:2211.15841).

    Each device sorts those of its own rows, with all experts' weights. XLA has such a product on TPUs; on CPUs it multiplies
    each token of each choice with every expert, C times the work of `plain`.
    """
    kernels = [kernel for kernel in (weights.gate_EDF, weights.up_EDF, weights.down_EDF) if kernel is not None]

    def own_rows(x_BLD: Array, chosen_BLC: Array, share_BLC: Array, *kernels: Array) -> Array:
        own = Weights(kernels[0] if len(kernels) == 3 else None, kernels[-2], kernels[-1], weights.activation)
        return _sorted_by_expert(x_BLD, chosen_BLC, share_BLC, own)

    return within_shards(own_rows, (x_BLD, chosen_BLC, share_BLC), kernels)


def _sorted_by_expert(x_BLD: Array, chosen_BLC: Array, share_BLC: Array, weights: Weights) -> Array:
    (B, L, C), D, E = chosen_BLC.shape, x_BLD.shape[-1], weights.up_EDF.shape[0]
    expert_M = chosen_BLC.reshape(B * L * C)
    order_M = jnp.argsort(expert_M)
    sizes_E = jax.nn.one_hot(expert_M, E, dtype=jnp.int32).sum(0)
    x_MD = x_BLD.reshape(B * L, D)[order_M // C]
    h_MF = weights.hidden(lambda kernel_EDF: jax.lax.ragged_dot(x_MD, kernel_EDF, sizes_E))
    y_MD = jax.lax.ragged_dot(h_MF, weights.down_EDF.swapaxes(1, 2), sizes_E)
    y_BLCD = y_MD[jnp.argsort(order_M)].reshape(B, L, C, D)
    return jnp.einsum("blcd,blc->bld", y_BLCD, share_BLC.astype(x_BLD.dtype))


def seated(
    x_BLD: Float[Array, "B L D"],
    chosen_BLC: Int[Array, "B L C"],
    share_BLC: Float[Array, "B L C"],
    weights: Weights,
    real_BL: Bool[Array, "B L"],
    num_seats: int,
) -> Float[Array, "B L D"]:
    """As `mix`, but an expert has `num_seats` in each row: who comes after they are taken goes without (Switch,
    arXiv:2101.03961, section 2.2).

    Seats are taken in the order of the tokens, padding takes none: a token's seat does not depend on those after it, nor on
    other rows.
    """
    B, L, C = chosen_BLC.shape
    E = weights.up_EDF.shape[0]
    wanted_BME = (jax.nn.one_hot(chosen_BLC, E, dtype=jnp.int32) * real_BL[..., None, None]).reshape(B, L * C, E)
    seat_BM = ((jnp.cumsum(wanted_BME, axis=1) - 1) * wanted_BME).sum(-1)
    sits_BM = (wanted_BME.sum(-1) > 0) & (seat_BM < num_seats)
    place_BM = jnp.where(sits_BM, chosen_BLC.reshape(B, L * C) * num_seats + seat_BM, E * num_seats)
    token_M = jnp.arange(L * C) // C
    token_BS = jax.vmap(lambda place_M: jnp.full(E * num_seats + 1, L).at[place_M].set(token_M))(place_BM)[:, :-1]
    x_BESD = _taken(_with_zero(x_BLD), token_BS).reshape(B, E, num_seats, -1)
    x_BESD = constrain(x_BESD, "batch", "experts", None, "features")
    h_BESF = weights.hidden(lambda kernel_EDF: jnp.einsum("besd,edf->besf", x_BESD, kernel_EDF))
    h_BESF = constrain(h_BESF, "batch", "experts", None, "mlp")
    y_BSD = jnp.einsum("besf,edf->besd", h_BESF, weights.down_EDF).reshape(B, E * num_seats, -1)
    y_BLCD = _taken(_with_zero(y_BSD), place_BM).reshape(B, L, C, -1)
    return jnp.einsum("blcd,blc->bld", y_BLCD, share_BLC.astype(x_BLD.dtype))


def _taken(x_BLD: Array, index_BM: Array) -> Array:
    return jnp.take_along_axis(x_BLD, index_BM[..., None], axis=1)


def _with_zero(x_BLD: Array) -> Array:
    """One place of zeros more: where those without a seat look."""
    return jnp.pad(x_BLD, ((0, 0), (0, 1), (0, 0)))
