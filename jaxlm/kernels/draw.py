"""Draws from a softmax over the vocabulary, in blocks: the letters are those of `jaxlm.kernels.cross_entropy`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxlm.core.readout import Readout
from jaxlm.kernels.cross_entropy import block_logits, block_of, fine_blocks, in_blocks, real_ids


class Drawn(NamedTuple):
    """Ids of each place."""

    sample: Int[Array, "B M"]
    """Drawn with the probability that the readout gives it."""
    likeliest: Int[Array, "B M"]


class _Best(NamedTuple):
    """The highest score so far and whose it is."""

    score: Array
    id: Array


def draw(readout: Readout, keys_B: Array) -> Drawn:
    """Exact draws, as the place of the largest logit plus Gumbel noise (Gumbel 1954): so a block at a time is held, [B, M, W],
    and its noise. No gradient flows through them.

    Args:
      keys_B: jax keys, one a row: a row's noise does not depend on the others. It is that of its place and id: how many blocks
        there are follows from the vocabulary alone.
    """

    def add(c: Any, logits_BMW: Array, before: tuple[_Best, _Best]) -> tuple[_Best, _Best]:
        noise_BMW = jax.vmap(lambda key: jax.random.gumbel(jax.random.fold_in(key, c), logits_BMW.shape[1:]))(keys_B)
        sample, likeliest = before
        return _better(sample, logits_BMW + noise_BMW, c, C), _better(likeliest, logits_BMW, c, C)

    C, nothing = fine_blocks(readout.vocab_size), _none(readout)
    sample, likeliest = _over_blocks(readout, C, add, (nothing, nothing))
    return Drawn(sample.id, likeliest.id)


def likeliest(readout: Readout) -> Int[Array, "B M"]:
    """The id of the highest logit of each place, the lowest of equals; a block at a time is held. No gradient flows through it."""
    C = fine_blocks(readout.vocab_size)
    return _over_blocks(readout, C, lambda c, logits_BMW, best: _better(best, logits_BMW, c, C), _none(readout)).id


def _over_blocks(readout: Readout, C: int, add: Callable[[Any, Array, Any], Any], start: Any) -> Any:
    """`add(c, logits of block c, before)` over all blocks of the vocabulary; logits of rows that fill up its table are -inf."""
    hidden, table_WCD, bias_WC = jax.lax.stop_gradient((readout.hidden, *in_blocks(readout, C)))
    W = table_WCD.shape[0]

    def step(c: Any, before: Any) -> Any:
        logits_BMW = block_logits(hidden, block_of(table_WCD, c, hidden.dtype), bias_WC, readout.soft_cap, c)
        if (real_W := real_ids(W, C, c, readout.vocab_size)) is not None:
            logits_BMW = jnp.where(real_W, logits_BMW, -jnp.inf)
        return add(c, logits_BMW, before)

    return step(0, start) if C == 1 else jax.lax.fori_loop(0, C, step, start)


def _none(readout: Readout) -> _Best:
    shape = readout.hidden.shape[:-1]
    return _Best(jnp.full(shape, -jnp.inf), jnp.zeros(shape, jnp.int32))


def _better(best: _Best, scores_BMW: Array, c: Any, C: int) -> _Best:
    """The best with those of block c, which holds the ids c, c + C, ..."""
    score, id = scores_BMW.max(-1), (scores_BMW.argmax(-1) * C + c).astype(jnp.int32)
    better = (score > best.score) | ((score == best.score) & (id < best.id))
    return _Best(jnp.maximum(best.score, score), jnp.where(better, id, best.id))
