"""What all layers share: settings that build a module, parameters with named axes, the context of a call."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxlm.core.noise import purpose_id
from jaxlm.core.sharding import constrain, is_cut


class Settings:
    """A layer as a value. Extend it with a frozen dataclass whose `build` makes the Linen module that computes it."""

    def build(self, name: str) -> Any:
        """The module, to be called within a parent's `nn.compact`."""
        raise NotImplementedError(f"{type(self).__name__} must define build()")

    def num_idle(self, embed_dim: int) -> int:
        """Of its parameters, those that have no part in one token: experts that it does not take."""
        return 0

    def all_active(self) -> "Settings":
        """The same with no more parameters than one token takes."""
        return self


class Mixer(Settings):
    """The half of a block in which tokens meet: attention, or what a recipe puts in its place.

    Extend it with a frozen dataclass. Its module is called with (x_BLD, context, cache) and gives (y_BLD, cache): `cache`
    is None, or what `init_cache` made, filled by the calls before.
    """

    causal: bool = True
    """Whether no token sees those after it."""

    def init_cache(self, embed_dim: int, batch_size: int, length: int, dtype: str) -> Any:
        """One layer's cache for `length` tokens a row, empty: any pytree of arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define init_cache() to generate text")

    def flops_per_token(self, embed_dim: int, seq_len: int) -> float:
        """Of a training token, forward and backward, beside those of its weights."""
        return 0.0

    def check(self, key: str, embed_dim: int, kernel: str) -> None:
        """Raises ConfigError where its settings do not fit each other or the model's; `key` is its own."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Encoded:
    """What a decoder may know of an encoder's text."""

    segments_BS: Int[Array, "B S"]
    hidden_BSD: Float[Array, "B S D"] | None
    """The encoder's last states; None: a cache holds what has been made of them."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Context:
    """What every layer of one call may know beside its input."""

    positions_BL: Int[Array, "B L"]
    segments_BL: Int[Array, "B L"]
    key_positions_BS: Int[Array, "B S"]
    key_segments_BS: Int[Array, "B S"]
    """Of the keys: equal to the queries' unless there is a cache."""
    key_prefix_BS: Bool[Array, "B S"] | None
    """Keys that all queries of their segment see, those before them too; None: there are none."""
    cache_index: Int[Array, ""] | None
    """Where in the cache this call's keys are written; None: no cache."""
    noise_B: Any
    """One key a row; None: no dropout."""
    bias_BHLS: Float[Array, "B H L S"] | None
    """Added to the scaled scores of each layer's attention; None: nothing."""
    encoder: Encoded | None
    """None: there is none, or this is its own context."""
    kernel: str = field(metadata={"static": True})

    def fold(self, number: Int[Array, ""] | int) -> "Context":
        """The same with noise of its own, for the layer of this number."""
        if self.noise_B is None:
            return self
        return replace(self, noise_B=jax.vmap(lambda key: jax.random.fold_in(key, number))(self.noise_B))


def normal(stddev: float | None, fan_in: int) -> nn.initializers.Initializer:
    """Normal with this deviation; None: 1 / sqrt(fan_in); 0: zeros."""
    if stddev == 0:
        return nn.initializers.zeros
    return nn.initializers.normal(fan_in**-0.5 if stddev is None else stddev)


def param(module: nn.Module, name: str, init: Any, shape: tuple[int, ...], axes: tuple[str, ...]) -> Any:
    """A float32 parameter of `module` whose dims bear logical axis names."""
    assert len(shape) == len(axes), f"parameter {name!r}: {len(axes)} axis names for shape {shape}"
    return module.param(name, nn.with_logical_partitioning(init, axes), shape, jnp.float32)


def weight(module: nn.Module, name: str, init: Any, shape: tuple[int, ...], axes: tuple[str, ...], dtype: Any) -> Array:
    """A parameter as products take it: in their dtype, and whole along `embed` where that is cut (ZeRO-3, arXiv:1910.02054).

    Said here, once: else each product asks for its own form of it, and devices send it as often. It is not kept for the backward
    pass, which gathers it again, and its gradient is cut as the parameter is.
    """
    cast = param(module, name, init, shape, axes).astype(dtype)
    return _whole(cast, axes) if is_cut("embed") else cast


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _whole(x: Array, axes: tuple[str, ...]) -> Array:
    kept = constrain(x, *axes)  # what the backward pass gathers anew lies as the parameter does
    return constrain(kept, *(None if axis == "embed" else axis for axis in axes))


_whole.defvjp(lambda x, axes: (_whole(x, axes), None), lambda axes, _, slope: (constrain(slope, *axes),))


def add_loss(module: nn.Module, name: str, rows_B: Array) -> None:
    """Adds a loss of the layer's own to `Outputs.aux`: [B], already scaled, 0 for a row without tokens; layers add up."""
    module.sow("aux", name, rows_B, reduce_fn=jnp.add, init_fn=lambda: jnp.zeros(rows_B.shape, jnp.float32))


def dropout(x: Array, rate: float, noise_B: Any, place: str) -> Array:
    """Zeroes each element with probability `rate` and scales the rest by 1 / (1 - rate) (arXiv:1207.0580).

    Each row [B, ...] draws from its own key, so noise does not depend on microbatches, padding rows or devices.
    """
    if noise_B is None or rate == 0:
        return x
    number = purpose_id(place)
    keep = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, x.shape[1:]))(noise_B)
    return jnp.where(keep, x / (1 - rate), jnp.zeros((), x.dtype))
