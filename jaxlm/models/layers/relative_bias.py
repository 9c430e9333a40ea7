"""Relative positions as numbers added to attention scores (arXiv:1910.10683, section 2.1)."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_at_least
from jaxlm.core.sharding import constrain
from jaxlm.models.layers.base import Settings, normal, param


@dataclass(frozen=True)
class RelativeBias(Settings):
    """One number a head for each bucket of distances between query and key, shared by all layers of a side: the encoder has a
    table of its own. Near distances have a bucket each, farther ones share buckets that widen by a constant factor."""

    num_heads: int
    """H, as the attention of all blocks has it."""
    num_buckets: int = 32
    """Of both directions together; a side that is causal has them all for what came before."""
    max_distance: int = 128
    """All distances from here on share the last bucket."""
    stddev: float | None = 0.02
    """Of initial numbers."""

    def build(self, name: str) -> nn.Module:
        return RelativeBiasModule(self, name=name)

    def check(self, key: str) -> None:
        """Raises ConfigError where its settings do not fit each other."""
        require_at_least(1, key, self, "num_heads")
        require_at_least(4, key, self, "num_buckets")
        if self.num_buckets % 4:
            raise ConfigError(f"{key}.num_buckets={self.num_buckets} must be a multiple of 4: two directions, near and far")
        if self.max_distance <= self.num_buckets // 2:
            raise ConfigError(
                f"{key}.max_distance={self.max_distance} must be above {self.num_buckets // 2}, half of num_buckets: nearer "
                "distances have buckets of their own"
            )


class RelativeBiasModule(nn.Module):
    settings: RelativeBias

    @nn.compact
    def __call__(
        self, positions_BL: Int[Array, "B L"], key_positions_BS: Int[Array, "B S"], causal: bool
    ) -> Float[Array, "B H L S"]:
        s, N = self.settings, self.settings.num_buckets
        table_NH = param(self, "table", normal(s.stddev, N), (N, s.num_heads), ("positions", "heads"))
        ahead_BLS = key_positions_BS[:, None, :] - positions_BL[:, :, None]
        bias_BLSH = table_NH[buckets(ahead_BLS, num_buckets=N, max_distance=s.max_distance, causal=causal)]
        return constrain(jnp.moveaxis(bias_BLSH, 3, 1), "batch", "heads", "length", None)


def buckets(ahead: Int[Array, "..."], *, num_buckets: int, max_distance: int, causal: bool) -> Int[Array, "..."]:
    """The bucket of each distance, by how far the key is ahead of the query.

    Where causal, keys ahead are in the bucket of distance 0; else theirs are the upper half. Of a direction's n buckets the
    first n / 2 hold a distance each; the j-th after them begins at n / 2 * (max_distance / (n / 2))^(j / (n / 2)).
    """
    n = num_buckets if causal else num_buckets // 2
    distance = jnp.maximum(-ahead, 0) if causal else jnp.abs(ahead)
    bucket = jnp.minimum(distance, n // 2)
    for least in far(n // 2, max_distance):
        bucket = bucket + (distance >= least)
    return bucket if causal else bucket + n * (ahead > 0)


def far(near: int, max_distance: int) -> list[int]:
    """The least distance of each bucket after the first far one, in whole numbers: floats round on a bucket's border."""

    def least(j: int) -> int:
        distance = near
        while distance**near < near ** (near - j) * max_distance**j:
            distance += 1
        return distance

    return [least(j) for j in range(1, near)]
