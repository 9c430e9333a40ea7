"""Ways to tell a model where a token stands."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core.errors import require_above
from jaxlm.core.sharding import constrain
from jaxlm.models.layers.base import Settings, normal, param


@dataclass(frozen=True)
class LearnedPositions(Settings):
    """A table of `length` vectors, added to the embedding (GPT-2, BERT)."""

    length: int
    """The most positions that the model can tell apart."""
    stddev: float = 0.02
    """Of initial vectors."""

    def build(self, name: str) -> nn.Module:
        return LearnedPositionsModule(self, name=name)


@dataclass(frozen=True)
class SinusoidalPositions(Settings):
    """sin and cos of position / 10000^(2i/D) (arXiv:1706.03762, section 3.5); all sines first, then all cosines,
    where the paper has them in turn: the same up to a permutation of dims."""

    def build(self, name: str) -> nn.Module:
        return SinusoidalPositionsModule(self, name=name)


@dataclass(frozen=True)
class RotaryScaling:
    """Slower rotations for texts longer than those first trained on, as Llama 3.1's weights were made with: frequencies that turn
    less than `low` times within `context` tokens are divided by `factor`, those that turn more than `high` times stay, and
    between the two it goes over linearly in the number of turns."""

    factor: float = 8.0
    """By which slow rotations are slowed down."""
    low: float = 1.0
    """Turns within the context below which a rotation is slow."""
    high: float = 4.0
    """Turns within the context above which it stays as it is."""
    context: int = 8192
    """Tokens of the longest text before."""

    def check(self, key: str) -> None:
        require_above(0, key, self, "factor", "low", "context")
        require_above(self.low, key, self, "high")

    def __call__(self, frequencies: Float[Array, " half"]) -> Float[Array, " half"]:
        """In radians a token, slowed."""
        turns = self.context * frequencies / (2 * jnp.pi)
        kept = jnp.clip((turns - self.low) / (self.high - self.low), 0, 1)
        return frequencies * (kept + (1 - kept) / self.factor)


class LearnedPositionsModule(nn.Module):
    settings: LearnedPositions

    @nn.compact
    def __call__(self, positions_BL: Int[Array, "B L"], embed_dim: int) -> Float[Array, "B L D"]:
        shape = (self.settings.length, embed_dim)
        table_PD = param(self, "table", normal(self.settings.stddev, embed_dim), shape, ("positions", "embed"))
        return constrain(table_PD, "positions", None)[positions_BL]  # gathered whole in D, or the partitioner copies it


class SinusoidalPositionsModule(nn.Module):
    settings: SinusoidalPositions

    def __call__(self, positions_BL: Int[Array, "B L"], embed_dim: int) -> Float[Array, "B L D"]:
        angles = _angles(positions_BL, _frequencies(embed_dim, 10_000.0))
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def _frequencies(dim: int, theta: float) -> Float[Array, " half"]:
    return theta ** (-jnp.arange(0, dim, 2, dtype=jnp.float32) / dim)


def _angles(positions_BL: Int[Array, "B L"], frequencies: Float[Array, " half"]) -> Float[Array, "B L half"]:
    return positions_BL[..., None].astype(jnp.float32) * frequencies


def rotate(
    x_BLHK: Float[Array, "B L H K"], positions_BL: Int[Array, "B L"], theta: float, scaling: RotaryScaling | None = None
) -> Float[Array, "B L H K"]:
    """Rotary positions (arXiv:2104.09864): turns the pairs (i, i + K/2) by position / theta^(2i/K), in float32.

    Pairs are halves apart, as in Llama's released weights under Hugging Face, where the paper pairs neighbours.
    """
    frequencies = _frequencies(x_BLHK.shape[-1], theta)
    angles = _angles(positions_BL, frequencies if scaling is None else scaling(frequencies))[:, :, None, :]
    sin = jnp.concatenate([-jnp.sin(angles), jnp.sin(angles)], axis=-1)
    cos = jnp.concatenate([jnp.cos(angles), jnp.cos(angles)], axis=-1)
    x32 = x_BLHK.astype(jnp.float32)
    first, second = jnp.split(x32, 2, axis=-1)
    return (x32 * cos + jnp.concatenate([second, first], axis=-1) * sin).astype(x_BLHK.dtype)
