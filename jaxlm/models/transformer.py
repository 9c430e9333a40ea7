"""The transformer: a tree of settings, each those of one layer, that is also the model."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxlm.core import Cache, ConfigError, Inputs, Outputs
from jaxlm.core.errors import require_at_least, require_fraction
from jaxlm.core.noise import purpose_id, row_keys
from jaxlm.core.sharding import constrain
from jaxlm.core.trees import leaf_names
from jaxlm.models.layers.base import Context, Encoded, Settings
from jaxlm.models.layers.dense import DenseModule
from jaxlm.models.layers.embed import Embed
from jaxlm.models.layers.heads import VocabHead, scores
from jaxlm.models.layers.norm import Norm
from jaxlm.models.layers.positions import LearnedPositions
from jaxlm.models.layers.relative_bias import RelativeBias
from jaxlm.models.layers.stack import Stack, layer_numbers
from jaxlm.models.model import Array, Model, Params
from jaxlm.models.sides import blocks, check_relative_bias, check_sides

Entrance = Callable[[Inputs, Context], tuple[Array, Array]]

LOOKED_UP = re.compile(r"^embed/(table|positions/table|token_types)$|_relative_bias/table$")
"""Names of parameters that multiply nothing."""
OF_ENCODER_TOKENS = re.compile(r"^encoder_|/cross_attention/(key|value)(_bias)?$")
"""Of those that an encoder's tokens pass; the decoder's pass all others."""


@dataclass(frozen=True)
class Transformer(Model):
    """embed -> stacks of blocks -> norm -> heads; with an encoder beside, whose text the blocks' `cross` reads.

    Parameters are float32; `dtype` is what is computed in. Logits, softmax and norms' statistics are float32 always.
    """

    embed: Embed
    """From ids to vectors."""
    decoder: tuple[Stack, ...]
    """The stacks that tokens pass, in order; BERT's attend both ways."""
    heads: tuple[tuple[str, Settings], ...]
    """Named ends; objectives read "lm"."""
    encoder: tuple[Stack, ...] = ()
    """Those of an encoder-decoder's other text, which is embedded as the decoder's is; (): no encoder."""
    norm: Norm | None = None
    """After the last block (pre-norm models); one each for encoder and decoder."""
    width: int | None = None
    """D, the width of the blocks, where it is not the embedding's: a dense layer leads there (ELECTRA small; ALBERT,
    arXiv:1909.11942, section 3.1). None: the embedding's."""
    relative_bias: RelativeBias | None = None
    """Added to the scores of all attention within a side (T5); None: nothing."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in."""
    remat: Literal["none", "full", "dots", "all_dots"] = "none"
    """What the backward pass computes again instead of keeping: nothing; all within a block; all but products with
    parameters; all but products. On a CPU it saves memory only where layers are scanned."""
    unroll: bool = False
    """Compile the layers one after another instead of as a loop: slower to compile, a third faster on a CPU."""
    kernel: Literal["auto", "plain", "blocked"] = "auto"
    """How attention is computed."""

    embed_keys = ("model.embed",)

    def build(self, name: str | None = None) -> nn.Module:
        return TransformerModule(self, name=name)

    def init(self, rng: Array) -> Params:
        """The initial parameters, boxed: `flax.linen.LogicallyPartitioned` leaves bear the axis names."""
        zeros_BL = jnp.zeros((1, 2), jnp.int32)
        inputs = Inputs(zeros_BL, zeros_BL, zeros_BL)
        return self.build().init(rng, inputs._replace(encoder=inputs if self.encoder else None), None, None)["params"]

    def __call__(self, params: Params, inputs: Inputs, *, cache: Cache | None = None, rng: Array | None = None) -> Outputs:
        """Args:
        inputs: with `encoder` where the model has one, unless the cache has seen it.
        cache: tokens seen before; the outputs' cache has these added.
        rng: key of this step's dropout; None: none. Each row folds `inputs.rows_B` into it.
        """
        noise_B = None
        if rng is not None:
            assert inputs.rows_B is not None, "noise is keyed by row: inputs need rows_B where rng is given"
            noise_B = row_keys(rng, inputs.rows_B)
        out, variables = self.build().apply({"params": params}, inputs, cache, noise_B, mutable=["aux"])
        assert isinstance(out, Outputs)
        return out._replace(aux=_summed_over_layers(variables.get("aux", {})))

    def parts(self, params: Params) -> tuple[tuple[Any, Params], ...]:
        return ((self, params),)

    def computed(self, **how: Any) -> "Transformer":
        return replace(self, **how)

    def with_embed(self, embed: Embed) -> "Transformer":
        return replace(self, embed=embed)

    def init_cache(self, batch_size: int, length: int, encoder_length: int = 0) -> Cache:
        """An empty cache for `length` tokens a row and at most `encoder_length` of the encoder's, in the dtype of computation."""

        def one(stack: Stack) -> tuple:
            sizes = self.dim(), batch_size, length, encoder_length, self.dtype
            layers = tuple(block.init_cache(*sizes) for block in stack.pattern)
            return jax.tree.map(lambda x: jnp.broadcast_to(x, (stack.repeats, *x.shape)), layers)

        zeros_BS = jnp.zeros((batch_size, length), jnp.int32)
        encoder_segments_BS = jnp.zeros((batch_size, encoder_length), jnp.int32) if self.encoder else None
        layers = tuple(one(stack) for stack in self.decoder)
        return Cache(jnp.zeros((), jnp.int32), zeros_BS, zeros_BS, layers, encoder_segments_BS)

    @property
    def attention(self) -> Literal["causal", "bidirectional", "mixed"]:
        """Whether tokens see those after them; an encoder's always do."""
        causal = {block.attention.causal for stack in self.decoder for block in stack.pattern}
        return "mixed" if len(causal) > 1 else "causal" if causal.pop() else "bidirectional"

    @property
    def max_length(self) -> int | None:
        """The most positions that it can tell apart, in the text of either side; None: no bound."""
        positions = self.embed.positions
        return positions.length if isinstance(positions, LearnedPositions) else None

    def dim(self) -> int:
        return self.width or self.embed.embed_dim

    def num_active_params(self) -> int:
        """Those that have a part in one token; less than all where it takes some of many experts."""
        return self.num_params() - sum(stack.num_idle(self.dim()) // stack.num_sharers() for stack in self.decoder + self.encoder)

    def all_active(self) -> "Transformer":
        """The same with no more experts than a token takes: a model of as many FLOPs a token, which XLA can count."""
        encoder, decoder = (tuple(stack.all_active() for stack in stacks) for stacks in (self.encoder, self.decoder))
        return replace(self, encoder=encoder, decoder=decoder)

    def flops_per_token(self, seq_len: int, encoder_length: int = 0) -> float:
        """Floating point operations of one training token, forward and backward: of rows of `seq_len` tokens, or of as many and
        `encoder_length` of the encoder's, those of a row over all its tokens.

        6 a weight that multiplies activations, once for each layer that has it, without experts that a token does not take, and
        what each layer adds where tokens meet (`Block.flops_per_token`). Look-ups cost nothing, the output table is counted
        where it scores.
        """
        sides = {"decoder": self.decoder, "encoder": self.encoder}
        times = {f"{side}_{i}": float(stack.num_sharers()) for side, stacks in sides.items() for i, stack in enumerate(stacks)}
        times |= {name: 1 / seq_len for name, head in self.heads if getattr(head, "once_a_row", False)}
        weights = {side: -float(sum(stack.num_idle(self.dim()) for stack in stacks)) for side, stacks in sides.items()}
        for name, leaf in leaf_names(nn.unbox(self.abstract_params())):
            if not LOOKED_UP.search(name):
                size = leaf.size * times.get(name.split("/")[0], 1)
                weights["encoder" if OF_ENCODER_TOKENS.search(name) else "decoder"] += size
        if any(getattr(head, "tied", False) for _, head in self.heads):
            weights["decoder"] += self.embed.table_rows() * self.embed.embed_dim

        def of_side(side: str, stacks: Sequence[Stack], length: int) -> float:
            """Of one token of this side."""
            sizes = self.dim(), length, encoder_length
            mixing = sum(stack.repeats * block.flops_per_token(*sizes) for stack in stacks for block in stack.pattern)
            return 6.0 * weights[side] + mixing

        decoder, encoder = of_side("decoder", self.decoder, seq_len), of_side("encoder", self.encoder, encoder_length)
        if not encoder_length:
            return decoder
        return (seq_len * decoder + encoder_length * encoder) / (seq_len + encoder_length)

    def check(self) -> None:
        require_fraction("model.embed", self.embed, "dropout")
        sides = {"encoder": self.encoder, "decoder": self.decoder}
        for side, stacks in sides.items():
            for i, stack in enumerate(stacks):
                require_at_least(1, f"model.{side}.{i}", stack, "repeats")
            for key, block in blocks(side, stacks):
                block.check(key, self.dim(), self.kernel)
        check_sides(self.encoder, self.decoder)
        if self.relative_bias is not None:
            check_relative_bias(self.relative_bias, sides)
        require_at_least(1, "model", self, "width")
        for i, (name, head) in enumerate(self.heads):
            tied = isinstance(head, VocabHead) and head.tied and not head.transform
            if tied and self.dim() != self.embed.embed_dim:
                raise ConfigError(
                    f"model.width={self.width} is not model.embed.embed_dim={self.embed.embed_dim}, the width of the table that "
                    f"the head {name!r} scores with; set model.heads.{i}.1.transform, or its tied to False"
                )


class TransformerModule(nn.Module):
    settings: Transformer

    @nn.compact
    def __call__(self, inputs: Inputs, cache: Cache | None, noise_B: Array | None) -> Outputs:
        s = self.settings
        enter, encoder_BSD = self.entrance(), None
        context, cache = _context(inputs, cache, noise_B, s.kernel)
        if inputs.encoder is not None:
            assert s.encoder, "this transformer has no encoder"
            encoder_BSD = self.encode(enter, inputs.encoder, context)
        context, cache = _with_encoder(context, cache, inputs.encoder, encoder_BSD)
        x_BLD, table_VD = enter(inputs, context)
        layers = None if cache is None else cache.layers
        x_BLD, layers = self.through("decoder", s.decoder, x_BLD, context, layers)
        if s.norm is not None:
            x_BLD = s.norm.build("norm")(x_BLD)
        heads = {name: scores(head, name, x_BLD, table_VD, s.embed.size(), inputs) for name, head in s.heads}
        return Outputs(x_BLD, heads, {}, None if cache is None else cache._replace(layers=layers), encoder_BSD)

    def entrance(self) -> Entrance:
        """From inputs to what the first block is given, and the table; one for both sides."""
        s = self.settings
        embed = s.embed.build("embed")
        lead = DenseModule(s.dim(), None, name="projection") if s.dim() != s.embed.embed_dim else None

        def enter(inputs: Inputs, context: Context) -> tuple[Array, Array]:
            x_BLD, table_VD = embed(inputs, context.fold(0))
            x_BLD = x_BLD.astype(s.dtype)
            return (x_BLD if lead is None else constrain(lead(x_BLD), "batch", "length", "features")), table_VD

        return enter

    def encode(self, enter: Entrance, inputs: Inputs, context: Context) -> Array:
        """[B, S, D], the encoder's last states; its noise is not its decoder's."""
        s, noise = self.settings, context.fold(purpose_id("encoder"))
        context, _ = _context(inputs, None, noise.noise_B, s.kernel)
        x_BSD, _ = enter(inputs, context)
        x_BSD, _ = self.through("encoder", s.encoder, x_BSD, context, None)
        return x_BSD if s.norm is None else s.norm.build("encoder_norm")(x_BSD)

    def through(self, side: str, stacks: Sequence[Stack], x_BLD: Array, context: Context, caches: Any) -> tuple[Array, Any]:
        """x after this side's stacks, and their caches filled."""
        s, first, filled = self.settings, 1, []
        if s.relative_bias is not None:
            causal = side == "decoder" and s.attention == "causal"
            bias = s.relative_bias.build(f"{side}_relative_bias")
            context = replace(context, bias_BHLS=bias(context.positions_BL, context.key_positions_BS, causal))
        for i, stack in enumerate(stacks):
            module = stack.build(f"{side}_{i}", remat=s.remat, unroll=s.unroll)
            x_BLD, cache = module(x_BLD, layer_numbers(first, stack), None if caches is None else caches[i], context)
            first += stack.num_layers()
            filled.append(cache)
        return x_BLD, None if caches is None else tuple(filled)


def _summed_over_layers(aux: Any) -> dict[str, Array]:
    """Name -> [B], of losses [..., B] that layers add (`layers.base.add_loss`)."""
    sums: dict[str, Array] = {}
    for path, rows_B in leaf_names(aux):
        name = path.split("/")[-1]
        sums[name] = sums.get(name, 0.0) + rows_B.reshape(-1, rows_B.shape[-1]).sum(0)
    return sums


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
    return Context(*queries, positions_BS, segments_BS, prefix_BS, index, noise_B, None, None, kernel), cache


def _with_encoder(
    context: Context, cache: Cache | None, inputs: Inputs | None, encoder_BSD: Array | None
) -> tuple[Context, Cache | None]:
    """The context with the encoder's text, from this call's inputs or from those that filled the cache, and the cache with its
    segments written in."""
    segments_BS = None if inputs is None else inputs.segments_BL
    if cache is not None and cache.encoder_segments_BS is not None:
        if segments_BS is not None:
            left = cache.encoder_segments_BS.shape[1] - segments_BS.shape[1]
            assert left >= 0, f"the cache has room for {left + segments_BS.shape[1]} of the encoder's {segments_BS.shape[1]} tokens"
            cache = cache._replace(encoder_segments_BS=jnp.pad(segments_BS, ((0, 0), (0, left))))
        segments_BS = cache.encoder_segments_BS
    return replace(context, encoder=None if segments_BS is None else Encoded(segments_BS, encoder_BSD)), cache
