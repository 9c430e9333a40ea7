"""A pattern of blocks, repeated: one tree of stacked parameters, whether the repeats are scanned or unrolled."""

from dataclasses import dataclass, replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.core.sharding import is_cut
from jaxlm.models.layers.base import Context, Settings
from jaxlm.models.layers.block import Block


def computed(primitive: Any, *_: Any, **params: Any) -> bool:
    """A policy: everything is kept as it was computed, before it was turned or sent. So weights that were gathered for a layer
    are not, and are gathered again (`base.weight`, whose call of a `custom_vjp` holds nothing but that)."""
    names = [step.primitive.name for step in params["call_jaxpr"].eqns] if "call_jaxpr" in params else [primitive.name]
    return not set(names) <= {"sharding_constraint", "reshape", "transpose"}


REMAT = {
    "none": computed,
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "all_dots": jax.checkpoint_policies.dots_saveable,
}
"""What the backward pass keeps instead of computing it again: everything; nothing but each block's input; the products
with parameters; all products."""


@dataclass(frozen=True)
class Stack(Settings):
    """`repeats` times the blocks of `pattern` in turn: one for GPT-2, dense + banded for GPT-3, local + global for Gemma."""

    pattern: tuple[Block, ...]
    """The blocks that follow each other."""
    repeats: int
    """How often the whole pattern does."""
    shared: bool = False
    """All repeats have the same parameters, each its own noise (ALBERT, arXiv:1909.11942, section 3.1)."""

    def build(self, name: str, *, remat: str = "none", unroll: bool = False) -> nn.Module:
        repeat: Any = Repeat
        if remat != "none" or is_cut("embed"):
            repeat = nn.remat(Repeat, prevent_cse=False, policy=REMAT[remat])
        scanned = nn.scan(
            repeat,
            variable_axes={"aux": 0} if self.shared else {"params": 0, "aux": 0},
            variable_broadcast="params" if self.shared else False,
            split_rngs={"params": not self.shared},
            in_axes=(0, 0, nn.broadcast),
            out_axes=0,
            length=self.repeats,
            unroll=self.repeats if unroll else 1,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        return scanned(self.pattern, name=name)

    def num_idle(self, embed_dim: int) -> int:
        """In all layers, where some share their parameters once for each."""
        return self.repeats * sum(block.num_idle(embed_dim) for block in self.pattern)

    def num_sharers(self) -> int:
        """Repeats that have one and the same parameters."""
        return self.repeats if self.shared else 1

    def all_active(self) -> "Stack":
        return replace(self, pattern=tuple(block.all_active() for block in self.pattern))

    def num_layers(self) -> int:
        return len(self.pattern) * self.repeats


class Repeat(nn.Module):
    """One repeat of the pattern; carries x."""

    pattern: tuple[Block, ...]

    @nn.compact
    def __call__(self, x_BLD: Float[Array, "B L D"], number: Array, caches: Any, context: Context) -> tuple[Array, Any]:
        """caches: a tuple over the pattern of one layer's cache, or None."""
        filled = []
        for place, block in enumerate(self.pattern):
            cache = None if caches is None else caches[place]
            layer = block.build(f"block_{place}")
            x_BLD, cache = layer(x_BLD, context.fold(number + place), cache)
            filled.append(cache)
        return x_BLD, None if caches is None else tuple(filled)


def in_turn(pattern: tuple[Block, ...], num_layers: int) -> tuple[Stack, ...]:
    """Stacks of `num_layers` blocks that take turns; those left over after whole patterns stand in a stack of their own."""
    repeats, left = divmod(num_layers, len(pattern))
    stacks = Stack(pattern, repeats), Stack(pattern[:left], 1)
    return tuple(stack for stack in stacks if stack.num_layers())


def layer_numbers(first: int, stack: Stack) -> Array:
    """The number of each repeat's first layer, so that no two layers of a model fold the same one into their noise."""
    return first + len(stack.pattern) * jnp.arange(stack.repeats)
