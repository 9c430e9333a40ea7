"""From scores to the next token: temperature, top-k, top-p (nucleus sampling, arXiv:1904.09751)."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlm.core import ConfigError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; by default from the model's own distribution."""

    temperature: float = 1.0
    """Scores are divided by it: below 1 sharper, above 1 flatter; 0 takes the likeliest token."""
    top_k: int | None = None
    """Draw from the k likeliest tokens; None: from all."""
    top_p: float = 1.0
    """Draw from the fewest likeliest tokens that hold this probability together, after temperature and top_k."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"--temperature: {self.temperature} is not at least 0. 0 is greedy, 1 the model's own distribution.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"--top-k: {self.top_k} is not at least 1. Leave it out to draw from all tokens.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"--top-p: {self.top_p} is not above 0 and at most 1. Leave it out to draw from all tokens.")


def sample(logits_BV: Float[Array, "B V"], keys_B: Array, sampling: Sampling) -> Int[Array, " B"]:
    """One id a row, drawn with the row's own key: a row's draw does not depend on the others.

    Args:
      keys_B: jax keys, one a row; temperature 0 uses none.
    """
    if sampling.temperature == 0:
        return jnp.argmax(logits_BV, axis=-1)
    scores_BV = logits_BV / sampling.temperature
    V = scores_BV.shape[-1]
    k = min(sampling.top_k or V, V)
    if k == V and sampling.top_p == 1:
        return jax.vmap(jax.random.categorical)(keys_B, scores_BV)
    scores_BM, ids_BM = jax.lax.top_k(scores_BV, k)  # descending
    if sampling.top_p < 1:
        probabilities_BM = jax.nn.softmax(scores_BM, axis=-1)
        before_BM = jnp.cumsum(probabilities_BM, axis=-1) - probabilities_BM
        scores_BM = jnp.where(before_BM.at[:, 0].set(0) < sampling.top_p, scores_BM, -jnp.inf)  # the first always stays
    drawn_B = jax.vmap(jax.random.categorical)(keys_B, scores_BM)
    return jnp.take_along_axis(ids_BM, drawn_B[:, None], axis=-1)[:, 0]
