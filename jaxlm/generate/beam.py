"""Beam search: the likeliest text rather than one that is drawn (arXiv:1609.08144, section 7).

All beams of all prompts are rows of one batch. The prompts, and what an encoder makes of its texts, are computed once a prompt;
then each beam has a copy of its prompt's cache, and takes that of the beam which it goes on from at every step.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Cache, ConfigError
from jaxlm.generate.decode import advance, begun

Array = Any


@dataclass(frozen=True)
class Beams:
    """How the likeliest texts are sought."""

    num_beams: int = 4
    """N, the beginnings that are kept of each text."""
    length_penalty: float = 0.6
    """alpha: a text of n tokens, its end among them, has the score log P / ((5 + n) / 6)^alpha (equation 14); 0: log P itself,
    which shorter texts have more of. The 2017 transformer has 0.6 (arXiv:1706.03762, section 6.1)."""

    def __post_init__(self) -> None:
        if self.num_beams < 1:
            raise ConfigError(f"--num-beams: {self.num_beams} is not at least 1.")
        if not (math.isfinite(self.length_penalty) and self.length_penalty >= 0):
            raise ConfigError(f"--length-penalty: {self.length_penalty} is not at least 0. The 2017 transformer has 0.6.")

    def score(self, log_prob: float, length: int) -> float:
        """What texts are ordered by."""
        return log_prob / ((5 + length) / 6) ** self.length_penalty


class Found(NamedTuple):
    """A text that a search ended with."""

    score: float
    ids: tuple[int, ...]
    """Its tokens, the one that ended it among them."""
    log_probs: tuple[float, ...]
    """Natural logarithm of the probability of each."""


class _Beam(NamedTuple):
    """The beginning of a text."""

    total: float
    """log P."""
    parent: int
    """Number of the beam that it went on from."""
    ids: tuple[int, ...]
    log_probs: tuple[float, ...]


def search(
    model: Any,
    params: Any,
    prompts: Sequence[np.ndarray],
    *,
    limits: Sequence[int],
    beams: Beams,
    stop_ids: Collection[int],
    encoder_texts: Sequence[np.ndarray] = (),
    prefix: bool = False,
    vocab_size: int,
) -> list[list[Found]]:
    """The best texts after each prompt, at most `num_beams`, the best first.

    At each step the likeliest continuations of a prompt's N beams are looked at in turn: those among the first N that end are
    texts, the first N that do not end are the beams of the next step. A prompt's search is over with N texts, or at its limit,
    where its beams are texts as they stand. With one beam it is greedy.

    Args:
      model: a causal one; dropout is off.
      limits: the most tokens of each text, at least 1. Prompt and limit together must fit the model's `max_length`.
      stop_ids: ids that end a text.
      encoder_texts: ids_N that an encoder-decoder's encoder reads, one text a prompt.
      prefix: a prompt's tokens see each other, also those after them.
      vocab_size: ids from here on (a model may have more than its tokenizer) are never taken.
    """
    N = beams.num_beams
    alive, found = [[_Beam(0.0, 0, (), ())] for _ in prompts], [list[Found]() for _ in prompts]
    lengths_R = np.repeat([len(ids_N) for ids_N in prompts], N)
    logits_BV, cache = begun(model, params, prompts, encoder_texts, max(limits), prefix=prefix)
    first_R = np.repeat(np.arange(len(prompts)), N)
    logits_RV, cache = logits_BV[first_R], _rows(cache, first_R)
    for number in range(max(limits)):
        sums_BN = _array(alive, N, lambda beam: beam.total, -np.inf, np.float32)
        likeliest = _likeliest(logits_RV, sums_BN, num=N * (1 + len(stop_ids)), vocab_size=vocab_size)
        for b, candidates in enumerate(zip(*(array.tolist() for array in jax.device_get(likeliest)), strict=True)):
            grown = [_grown(alive[b], *candidate) for candidate in zip(*candidates, strict=True) if candidate[0] > -math.inf]
            ended = [beam for beam in grown[:N] if beam.ids[-1] in stop_ids]
            going = [beam for beam in grown if beam.ids[-1] not in stop_ids][:N]
            last = number + 1 >= limits[b]
            found[b] += [
                Found(beams.score(beam.total, len(beam.ids)), beam.ids, beam.log_probs) for beam in ended + (going if last else [])
            ]
            alive[b] = [] if last or len(found[b]) >= N else going
        if not any(alive):
            break
        parents_BN = _array(alive, N, lambda beam: beam.parent, 0, np.int32)
        cache = _rows(cache, (parents_BN + N * np.arange(len(prompts))[:, None]).ravel())
        ids_R = _array(alive, N, lambda beam: beam.ids[-1], 0, np.int32).ravel()
        running_R = _array(alive, N, lambda beam: True, False, bool).ravel()
        positions_R = ((lengths_R + number) * running_R).astype(np.int32)
        logits_RV, cache = advance(params, cache, ids_R, positions_R, running_R, model=model)
    return [sorted(texts, key=lambda text: -text.score)[:N] for texts in found]


def _grown(beams: Sequence[_Beam], total: float, parent: int, id: int, log_prob: float) -> _Beam:
    """One of the beams with a token more."""
    return _Beam(total, parent, (*beams[parent].ids, id), (*beams[parent].log_probs, log_prob))


def _array(alive: Sequence[Sequence[_Beam]], N: int, value: Callable[[_Beam], Any], absent: Any, dtype: Any) -> np.ndarray:
    """[B, N] of something of each beam, `absent` where there are fewer."""
    return np.array([[*map(value, beams), *[absent] * (N - len(beams))] for beams in alive], dtype)


@partial(jax.jit, static_argnames=("num", "vocab_size"))
def _likeliest(logits_RV: Array, sums_BN: Array, *, num: int, vocab_size: int) -> tuple[Array, ...]:
    """(sums, beams, ids, log probabilities of the ids), [B, num] each, descending, of all continuations of a prompt's beams."""
    B, N = sums_BN.shape
    log_probs_BNV = jax.nn.log_softmax(logits_RV[:, :vocab_size], axis=-1).reshape(B, N, -1)
    V = log_probs_BNV.shape[-1]
    totals_BM, places_BM = jax.lax.top_k((sums_BN[:, :, None] + log_probs_BNV).reshape(B, -1), min(num, N * V))
    log_probs_BM = jnp.take_along_axis(log_probs_BNV.reshape(B, -1), places_BM, axis=1)
    return totals_BM, places_BM // V, places_BM % V, log_probs_BM


@jax.jit
def _rows(cache: Cache, rows_R: Array) -> Cache:
    """The cache of these rows."""
    encoder_segments_BS = None if cache.encoder_segments_BS is None else cache.encoder_segments_BS[rows_R]
    return cache._replace(
        positions_BS=cache.positions_BS[rows_R],
        segments_BS=cache.segments_BS[rows_R],
        layers=jax.tree.map(lambda x: x[:, rows_R], cache.layers),
        encoder_segments_BS=encoder_segments_BS,
    )
