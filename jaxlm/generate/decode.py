"""Token by token with a cache: the prompts once, then one step a token for the whole batch.

Prompts are padded on the left, so that the newest token of every row stands in the same place of the cache. Padding is
segment 0 and positions count each row's own tokens, so it changes nothing. A row that has ended goes on as padding.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Cache, Inputs
from jaxlm.generate.prompts import bucket, padded
from jaxlm.generate.sampling import Sampling, sample

Array = Any


class Step(NamedTuple):
    """One new token of each row; numpy."""

    ids_B: np.ndarray
    running_B: np.ndarray
    """False where the row had ended before: its id means nothing."""
    finished_B: np.ndarray
    """True where the row has ended, with this token or before."""
    log_probs_B: np.ndarray
    """Natural logarithm of the probability of each id, from the model's own distribution at temperature 1."""
    top_ids_BT: np.ndarray
    """The T likeliest ids, descending."""
    top_log_probs_BT: np.ndarray


def stream(
    model: Any,
    params: Any,
    prompts: Sequence[np.ndarray],
    *,
    limits: Sequence[int],
    keys_B: Array,
    sampling: Sampling,
    stop_ids: Collection[int] = (),
    encoder_texts: Sequence[np.ndarray] = (),
    prefix: bool = False,
    vocab_size: int,
    top: int = 0,
) -> Iterator[Step]:
    """The continuation of each prompt, a step at a time, until all rows have ended.

    Args:
      model: a causal one; dropout is off.
      prompts: ids_N of each row, at least one id each.
      limits: the most tokens of each row, at least 1. Prompt and limit together must fit the model's `max_length`.
      keys_B: a jax key a row; the n-th token is drawn with n folded in.
      encoder_texts: ids_N that an encoder-decoder's encoder reads, one text a row.
      prefix: a prompt's tokens see each other, also those after them.
      stop_ids: ids that end a row; the step with such an id is its last.
      vocab_size: ids from here on (a model may have more than its tokenizer) are never drawn.
      top: how many of the likeliest tokens a step tells.
    """
    logits_BV, cache = begun(model, params, prompts, encoder_texts, max(limits), prefix=prefix)
    limits_B, positions_B = np.array(limits), np.array([len(ids_N) for ids_N in prompts], np.int32)
    running_B = np.ones(len(prompts), bool)
    for number in range(limits_B.max()):
        drawn = _draw(logits_BV, keys_B, number, sampling=sampling, vocab_size=vocab_size, top=top)
        ids_B, log_probs_B, top_ids_BT, top_log_probs_BT = jax.device_get(drawn)
        finished_B = ~running_B | np.isin(ids_B, list(stop_ids)) | (number + 1 >= limits_B)
        yield Step(ids_B, running_B, finished_B, log_probs_B, top_ids_BT, top_log_probs_BT)
        if finished_B.all():
            return
        running_B = ~finished_B
        logits_BV, cache = advance(params, cache, ids_B, (positions_B + number) * running_B, running_B, model=model)


def begun(
    model: Any, params: Any, prompts: Sequence[np.ndarray], encoder_texts: Sequence[np.ndarray], limit: int, *, prefix: bool
) -> tuple[Array, Cache]:
    """The scores of each row's next token, and the cache with the prompts in it and room for so many tokens more."""
    inputs = padded(prompts, "left")
    if prefix:
        inputs = inputs._replace(prefix_BL=inputs.segments_BL > 0)
    if encoder_texts:
        inputs = inputs._replace(encoder=padded(encoder_texts, "right"))
    return _prefill(params, inputs, model=model, length=inputs.tokens_BL.shape[1] + bucket(limit))


@partial(jax.jit, static_argnames=("model", "length"))
def _prefill(params: Any, inputs: Inputs, *, model: Any, length: int) -> tuple[Array, Cache]:
    encoder_lengths = () if inputs.encoder is None else (inputs.encoder.tokens_BL.shape[1],)
    cache = model.init_cache(inputs.tokens_BL.shape[0], length, *encoder_lengths)
    return _last(model.eval()(params, inputs, cache=cache))


@partial(jax.jit, static_argnames=("model",), donate_argnames=("cache",))
def advance(params: Any, cache: Cache, ids_B: Array, positions_B: Array, running_B: Array, *, model: Any) -> tuple[Array, Cache]:
    """The same after one more token of each row that still runs; of the others it is padding."""
    inputs = Inputs(ids_B[:, None], positions_B[:, None], running_B.astype(jnp.int32)[:, None])
    return _last(model.eval()(params, inputs, cache=cache))


def _last(outputs: Any) -> tuple[Array, Cache]:
    B, L = outputs.hidden_BLD.shape[:2]
    return outputs.heads["lm"].at(jnp.full((B, 1), L - 1)).logits()[:, 0], outputs.cache


@partial(jax.jit, static_argnames=("sampling", "vocab_size", "top"))
def _draw(logits_BV: Array, keys_B: Array, number: Array, *, sampling: Sampling, vocab_size: int, top: int) -> tuple[Array, ...]:
    """A step's ids, their log probabilities, and those of the likeliest; apart from the model, so that it is compiled once."""
    logits_BV = logits_BV[:, :vocab_size]
    ids_B = sample(logits_BV, jax.vmap(jax.random.fold_in, (0, None))(keys_B, number), sampling).astype(jnp.int32)
    log_probs_BV = jax.nn.log_softmax(logits_BV, axis=-1)
    top_log_probs_BT, top_ids_BT = jax.lax.top_k(log_probs_BV, top)
    return ids_B, jnp.take_along_axis(log_probs_BV, ids_B[:, None], axis=-1)[:, 0], top_ids_BT, top_log_probs_BT
