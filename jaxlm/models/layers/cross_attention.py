"""Attention of a decoder to what an encoder made of its text (arXiv:1706.03762, section 3.2.3)."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlm.kernels.attention import attend
from jaxlm.kernels.attention.plain import visible
from jaxlm.models.layers.base import Context
from jaxlm.models.layers.projections import KeyValue, Projections, ProjectionsModule


@dataclass(frozen=True)
class CrossAttention(Projections):
    """softmax(q k^T / sqrt(K)) v over the encoder's tokens of the segment of the same number. Where it has none, the result is
    that of the output's bias alone."""

    def build(self, name: str) -> nn.Module:
        return CrossAttentionModule(self, name=name)


class CrossAttentionModule(ProjectionsModule):
    settings: CrossAttention

    @nn.compact
    def __call__(
        self, x_BLD: Float[Array, "B L D"], context: Context, cache: KeyValue | None
    ) -> tuple[Float[Array, "B L D"], KeyValue | None]:
        """A cache is filled by the call that is given the encoder's states; those after it read it."""
        s, encoder = self.settings, context.encoder
        assert encoder is not None, "cross-attention needs inputs.encoder, or a cache that a call with it has filled"
        q_BLHK = self.queries(x_BLD)
        if encoder.hidden_BSD is not None:
            k_BSGK, v_BSGK = (self.keys_or_values(name, encoder.hidden_BSD) for name in ("key", "value"))
            cache = None if cache is None else (_written(cache[0], k_BSGK), _written(cache[1], v_BSGK))
        if cache is not None:
            k_BSGK, v_BSGK = (filled.astype(x_BLD.dtype) for filled in cache)
        segments = context.segments_BL, encoder.segments_BS
        positions = context.positions_BL, jnp.zeros_like(encoder.segments_BS)  # nothing here is before or after
        mixed_BLHK = attend(
            q_BLHK,
            k_BSGK,
            v_BSGK,
            positions=positions,
            segments=segments,
            causal=False,
            scale=s.scale,
            drop=self.drop(context, "cross-attention weights"),
            kernel=context.kernel,
        )
        sees_BL = visible(positions, segments, causal=False).any(-1)
        return self.output(jnp.where(sees_BL[:, :, None, None], mixed_BLHK, 0), x_BLD.shape[-1]), cache


def _written(old_BSGK: Array, new_BSGK: Array) -> Array:
    """The cache from its first place on; places after the new are of segment 0, which nothing sees."""
    return jax.lax.dynamic_update_slice_in_dim(old_BSGK, new_BSGK.astype(old_BSGK.dtype), 0, axis=1)
