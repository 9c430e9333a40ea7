"""The transformer: a tree of settings, each those of one layer, that is also the model."""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxlm.core import Cache, Inputs, Outputs
from jaxlm.core.errors import require_at_least, require_fraction
from jaxlm.core.noise import row_keys
from jaxlm.core.trees import leaf_names
from jaxlm.models.layers.base import Context, Settings
from jaxlm.models.layers.embed import Embed
from jaxlm.models.layers.norm import Norm
from jaxlm.models.layers.positions import LearnedPositions
from jaxlm.models.layers.stack import Stack, layer_numbers

Params = Any
Array = Any


@dataclass(frozen=True)
class Transformer(Settings):
    """embed -> stacks of blocks -> norm -> heads.

    Parameters are float32; `dtype` is what is computed in. Logits, softmax and norms' statistics are float32 always.
    """

    embed: Embed
    """From ids to vectors."""
    decoder: tuple[Stack, ...]
    """The stacks that tokens pass, in order; BERT's attend both ways."""
    heads: tuple[tuple[str, Settings], ...]
    """Named ends; objectives read "lm"."""
    norm: Norm | None = None
    """After the last block (pre-norm models)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in."""
    remat: Literal["none", "full", "dots", "all_dots"] = "none"
    """What the backward pass computes again instead of keeping: nothing; all within a block; all but products with
    parameters; all but products. On a CPU it saves memory only where layers are scanned."""
    unroll: bool = False
    """Compile the layers one after another instead of as a loop: slower to compile, a third faster on a CPU."""
    kernel: Literal["auto", "plain", "blocked"] = "auto"
    """How attention is computed."""

    def build(self, name: str | None = None) -> nn.Module:
        return TransformerModule(self, name=name)

    def init(self, rng: Array) -> Params:
        """The initial parameters, boxed: `flax.linen.LogicallyPartitioned` leaves bear the axis names."""
        zeros_BL = jnp.zeros((1, 2), jnp.int32)
        return self.build().init(rng, Inputs(zeros_BL, zeros_BL, zeros_BL), None, None)["params"]

    def __call__(self, params: Params, inputs: Inputs, *, cache: Cache | None = None, rng: Array | None = None) -> Outputs:
        """Args:
        cache: tokens seen before; the outputs' cache has these added.
        rng: key of this step's dropout; None: none. Each row folds `inputs.rows_B` into it.
        """
        noise_B = None
        if rng is not None:
            assert inputs.rows_B is not None, "noise is keyed by row: inputs need rows_B where rng is given"
            noise_B = row_keys(rng, inputs.rows_B)
        module: Any = self.build()  # `apply` is typed as if it could return variables too
        return module.apply({"params": params}, inputs, cache, noise_B)

    def eval(self) -> "WithoutNoise":
        """The same model without dropout, whatever rng it is given."""
        return WithoutNoise(self)

    def init_cache(self, batch_size: int, length: int) -> Cache:
        """An empty cache for `length` tokens a row, in the dtype of computation."""

        def one(stack: Stack) -> tuple:
            sizes = self.embed.embed_dim, batch_size, length, self.dtype
            layers = tuple(block.attention.init_cache(*sizes) for block in stack.pattern)
            return jax.tree.map(lambda x: jnp.broadcast_to(x, (stack.repeats, *x.shape)), layers)

        zeros_BS = jnp.zeros((batch_size, length), jnp.int32)
        return Cache(jnp.zeros((), jnp.int32), zeros_BS, zeros_BS, tuple(one(stack) for stack in self.decoder))

    @property
    def attention(self) -> Literal["causal", "bidirectional", "mixed"]:
        """Whether tokens see those after them."""
        causal = {block.attention.causal for stack in self.decoder for block in stack.pattern}
        return "mixed" if len(causal) > 1 else "causal" if causal.pop() else "bidirectional"

    @property
    def max_length(self) -> int | None:
        """The most positions that it can tell apart; None: no bound."""
        positions = self.embed.positions
        return positions.length if isinstance(positions, LearnedPositions) else None

    def abstract_params(self) -> Params:
        """Shapes, dtypes and axis names of the parameters, boxed; nothing is computed."""
        return jax.eval_shape(self.init, jax.random.key(0))

    def num_params(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(nn.unbox(self.abstract_params())))

    def flops_per_token(self, seq_len: int) -> float:
        """Floating point operations of one training token, forward and backward.

        6 a weight that multiplies activations, and what each layer adds where tokens meet (`Mixer.flops_per_token`).
        Look-ups cost nothing, the output table is counted where it scores.
        """
        params = nn.unbox(self.abstract_params())
        lookups = sum(
            leaf.size for name, leaf in leaf_names(params["embed"]) if name in ("table", "positions/table", "token_types")
        )
        weights = sum(leaf.size for leaf in jax.tree.leaves(params)) - lookups
        if any(getattr(head, "tied", False) for _, head in self.heads):
            weights += self.embed.table_rows() * self.embed.embed_dim
        mixing = sum(
            stack.repeats * block.attention.flops_per_token(self.embed.embed_dim, seq_len)
            for stack in self.decoder
            for block in stack.pattern
        )
        return 6.0 * weights + mixing

    def check(self) -> None:
        """Raises ConfigError where the settings do not fit each other."""
        require_fraction("model.embed", self.embed, "dropout")
        for i, stack in enumerate(self.decoder):
            require_at_least(1, f"model.decoder.{i}", stack, "repeats")
            for j, block in enumerate(stack.pattern):
                block.check(f"model.decoder.{i}.pattern.{j}", self.embed.embed_dim, self.kernel)


@dataclass(frozen=True)
class WithoutNoise:
    """A model that ignores rng; all else is the model's own."""

    model: Any

    def __call__(self, params: Params, inputs: Inputs, *, cache: Cache | None = None, rng: Array | None = None) -> Outputs:
        return self.model(params, inputs, cache=cache, rng=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class TransformerModule(nn.Module):
    settings: Transformer

    @nn.compact
    def __call__(self, inputs: Inputs, cache: Cache | None, noise_B: Array | None) -> Outputs:
        assert inputs.encoder is None, "this transformer has no encoder"
        s = self.settings
        context, cache = _context(inputs, cache, noise_B, s.kernel)
        x_BLD, table_VD = s.embed.build("embed")(inputs, context.fold(0))
        x_BLD = x_BLD.astype(s.dtype)
        first, filled = 1, []
        for i, stack in enumerate(s.decoder):
            layer_caches = None if cache is None else cache.layers[i]
            module = stack.build(f"decoder_{i}", remat=s.remat, unroll=s.unroll)
            x_BLD, layer_caches = module(x_BLD, layer_numbers(first, stack), layer_caches, context)
            first += stack.num_layers()
            filled.append(layer_caches)
        if s.norm is not None:
            x_BLD = s.norm.build("norm")(x_BLD)
        heads = {name: head.build(name)(x_BLD, table_VD, s.embed.size()) for name, head in s.heads}
        return Outputs(x_BLD, heads, {}, None if cache is None else cache._replace(layers=tuple(filled)))


def _context(inputs: Inputs, cache: Cache | None, noise_B: Array | None, kernel: str) -> tuple[Context, Cache | None]:
    """What the layers know, and the cache with this call's positions and segments written in.

    A prefix comes whole within one call. Then the cache need not keep it: later queries stand after all that is in there.
    """
    positions_BS, segments_BS, prefix_BS, index = inputs.positions_BL, inputs.segments_BL, inputs.prefix_BL, None
    if cache is not None:
        index = cache.index
        positions_BS = jax.lax.dynamic_update_slice_in_dim(cache.positions_BS, inputs.positions_BL, index, axis=1)
        segments_BS = jax.lax.dynamic_update_slice_in_dim(cache.segments_BS, inputs.segments_BL, index, axis=1)
        if prefix_BS is not None:
            nowhere_BS = jnp.zeros(segments_BS.shape, bool)
            prefix_BS = jax.lax.dynamic_update_slice_in_dim(nowhere_BS, prefix_BS, index, axis=1)
        cache = cache._replace(index=index + inputs.tokens_BL.shape[1], positions_BS=positions_BS, segments_BS=segments_BS)
    queries = inputs.positions_BL, inputs.segments_BL
    return Context(*queries, positions_BS, segments_BS, prefix_BS, index, noise_B, kernel), cache
