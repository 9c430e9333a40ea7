"""Fill gaps: what a model that looks both ways expects at each [MASK]."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import ConfigError, Inputs
from jaxlm.core.vocab import ENDS
from jaxlm.generate.candidates import Candidate, candidates, check_top
from jaxlm.generate.prompts import padded
from jaxlm.generate.words import word_model
from jaxlm.tokenizer.base import Tokenizer

MASK = "[MASK]"
"""How a gap is written in text, whatever the tokenizer calls its mask token."""

Array = Any


class Filled(NamedTuple):
    """A text whose gaps are filled."""

    masks: tuple[tuple[Candidate, ...], ...]
    """The likeliest tokens of each gap, in the order of the text."""
    text: str
    """With the likeliest of each, each chosen as if the other gaps stayed open."""


def fill_mask(
    model: Any, params: Any, tokenizer: Tokenizer, prompts: Sequence[str], *, top: int = 5, ends: tuple[str, str] = ENDS
) -> list[Filled]:
    """The `top` likeliest tokens of each [MASK] of each prompt; a pair's generator fills it.

    A gap is one token. Where the tokenizer's tokens begin with the space in front of a word, the space in front of
    [MASK] belongs to the token that is sought and is left out of the context: "on the [MASK]." seeks a token such as
    "▁mat". Only tokens that stand for text are told; probabilities are among all of the tokenizer's tokens.

    Args:
      ends: what stands before and after a text, by the names of `Vocab`, as `Objective.ends`.

    Raises:
      ConfigError: the model is causal, the tokenizer has no mask token, a prompt has no [MASK] or does not fit the context.
    """
    vocab = tokenizer.vocab
    if model.encoder:
        raise ConfigError(
            "fill-mask: the run is an encoder-decoder that did not learn to write what stands in gaps, as SpanCorruption does (an "
            "objective of the recipe's own needs --trust); use `jaxlm generate`, or another run"
        )
    if model.attention != "bidirectional":
        raise ConfigError(
            f"fill-mask: the model's attention is {model.attention}, so it does not see what follows a gap; use "
            "`jaxlm generate`, or a run with objective MaskedLM (a bert)."
        )
    if vocab.mask is None:
        raise ConfigError("fill-mask: the run's tokenizer has no mask token; use a run whose tokenizer has one.")
    model, params = word_model(model, params)
    allowed_V = ~vocab.special_V
    check_top(top, 1, int(allowed_V.sum()))
    rows = [_with_gaps(tokenizer, prompt, model.max_length, ends) for prompt in prompts]
    if not rows:
        return []
    gaps = [np.flatnonzero(ids_N == vocab.mask) for ids_N in rows]
    index_BM = np.zeros((len(rows), 1 << (max(map(len, gaps)) - 1).bit_length()), np.int32)
    for b, places in enumerate(gaps):
        index_BM[b, : len(places)] = places
    log_probs, ids = jax.device_get(_likeliest(params, padded(rows, "right"), index_BM, allowed_V, model=model, top=top))
    return [
        _filled(tokenizer, ids_N, places, ids[b], log_probs[b]) for b, (ids_N, places) in enumerate(zip(rows, gaps, strict=True))
    ]


def _filled(tokenizer: Tokenizer, ids_N: np.ndarray, places: np.ndarray, ids_MT: np.ndarray, log_probs_MT: np.ndarray) -> Filled:
    whole_N = ids_N.copy()
    whole_N[places] = ids_MT[: len(places), 0]
    masks = tuple(candidates(tokenizer, ids_MT[m], log_probs_MT[m]) for m in range(len(places)))
    return Filled(masks, tokenizer.decode(whole_N))


def around_gaps(tokenizer: Tokenizer, prompt: str) -> list[np.ndarray]:
    """The ids of what stands before the first [MASK] of a prompt, between them, and after the last.

    Raises:
      ConfigError: it has none.
    """
    *before, last = prompt.split(MASK)
    if not before:
        raise ConfigError(f"--prompt: {prompt!r} has no {MASK}. Write {MASK} where a token is to be filled in.")
    if tokenizer.vocab.starts_word_V is not None:
        before = [part.removesuffix(" ") for part in before]
    return list(tokenizer.encode_batch([*before, last]))


def _with_gaps(tokenizer: Tokenizer, prompt: str, max_length: int | None, ends: tuple[str, str]) -> np.ndarray:
    """The prompt's ids with the mask's in each gap, between what stands at a text's ends."""
    vocab = tokenizer.vocab
    *ids_before, ids_last = around_gaps(tokenizer, prompt)
    parts = []
    for ids_N in ids_before:
        parts += [ids_N, np.array([vocab.mask])]
    whole_N = vocab.framed(np.concatenate([*parts, ids_last]), ends)
    if max_length is not None and len(whole_N) > max_length:
        raise ConfigError(
            f"--prompt: its {len(whole_N)} tokens are more than the model's context of {max_length}. Shorten it to at most "
            f"{max_length} tokens, begin and end token included."
        )
    return whole_N


@partial(jax.jit, static_argnames=("model", "top"))
def _likeliest(params: Any, inputs: Inputs, index_BM: Array, allowed_V: Array, *, model: Any, top: int) -> tuple[Array, Array]:
    """(log probabilities, ids), [B, M, top] each, descending, of the tokens that are allowed."""
    logits_BMV = model.eval()(params, inputs).heads["lm"].at(index_BM).logits()[..., : allowed_V.shape[0]]
    return jax.lax.top_k(jnp.where(allowed_V, jax.nn.log_softmax(logits_BMV, axis=-1), -jnp.inf), top)
