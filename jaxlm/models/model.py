"""What a model is to the rest of the program: a transformer, or several that are trained as one."""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax

from jaxlm.core import Cache, Inputs, Outputs
from jaxlm.models.layers.base import Settings

Params = Any
Array = Any


class Model(Settings):
    """A frozen value around Linen modules."""

    embed: Any
    """The settings of its one embedding."""
    encoder: Any
    """The stacks of an encoder; (): none."""
    heads: Any
    """Pairs of name and settings: the ends of what the call gives."""
    embed_keys: tuple[str, ...] = ()
    """Where in a config the embedding stands."""

    def init(self, rng: Array) -> Params:
        """The initial parameters, boxed: `flax.linen.LogicallyPartitioned` leaves bear the axis names."""
        raise NotImplementedError(f"{type(self).__name__} must define init()")

    def __call__(self, params: Params, inputs: Inputs, *, cache: Cache | None = None, rng: Array | None = None) -> Outputs:
        """Args:
        cache: tokens seen before; the outputs' cache has these added.
        rng: key of this step's dropout; None: none. Each row folds `inputs.rows_B` into it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__()")

    def parts(self, params: Params) -> tuple[tuple[Any, Params], ...]:
        """The transformers that it is made of, each with its own parameters; the first is what the call computes."""
        raise NotImplementedError(f"{type(self).__name__} must define parts()")

    def computed(self, **how: Any) -> Any:
        """The same, computed another way: `dtype`, `remat`, `unroll`, `kernel`."""
        raise NotImplementedError(f"{type(self).__name__} must define computed()")

    def with_embed(self, embed: Any) -> Any:
        """The same with other settings of its embedding."""
        raise NotImplementedError(f"{type(self).__name__} must define with_embed()")

    def eval(self) -> Any:
        """The same model without dropout, whatever rng it is given."""
        return WithoutNoise(self)

    def init_cache(self, batch_size: int, length: int, encoder_length: int = 0) -> Cache:
        """An empty cache for `length` tokens a row and at most `encoder_length` of the encoder's, in the dtype of computation."""
        raise NotImplementedError(f"{type(self).__name__} must define init_cache()")

    def dim(self) -> int:
        """D, the width of the last hidden states."""
        raise NotImplementedError(f"{type(self).__name__} must define dim()")

    @property
    def attention(self) -> Literal["causal", "bidirectional", "mixed"]:
        """Whether tokens see those after them."""
        raise NotImplementedError(f"{type(self).__name__} must define attention")

    @property
    def max_length(self) -> int | None:
        """The most positions that it can tell apart; None: no bound."""
        raise NotImplementedError(f"{type(self).__name__} must define max_length")

    def abstract_params(self) -> Params:
        """Shapes, dtypes and axis names of the parameters, boxed; nothing is computed."""
        return jax.eval_shape(self.init, jax.random.key(0))

    def num_params(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(nn.unbox(self.abstract_params())))

    def flops_per_token(self, seq_len: int, encoder_length: int = 0) -> float:
        """Floating point operations of one training token, forward and backward."""
        raise NotImplementedError(f"{type(self).__name__} must define flops_per_token()")

    def check(self) -> None:
        """Raises ConfigError where the settings do not fit each other."""


@dataclass(frozen=True)
class WithoutNoise:
    """A model that ignores rng; all else is the model's own."""

    model: Any

    def __call__(self, params: Params, inputs: Inputs, *, cache: Cache | None = None, rng: Array | None = None) -> Outputs:
        return self.model(params, inputs, cache=cache, rng=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)
