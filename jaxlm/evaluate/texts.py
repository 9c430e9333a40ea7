"""What a trained model makes of single texts: the cost of each token, and vectors."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxlm.core import ConfigError, Inputs
from jaxlm.core.vocab import ENDS
from jaxlm.generate.prompts import padded, require_no_encoder
from jaxlm.generate.words import word_model
from jaxlm.kernels.cross_entropy import token_nll
from jaxlm.tokenizer.base import Tokenizer

ROWS = 16
"""Rows of one call of the model."""

Array = Any


class Score(NamedTuple):
    """What a text's tokens cost a model."""

    tokens: tuple[str, ...]
    """As they are shown; without begin and end of the text."""
    nats_N: np.ndarray
    """-ln of the probability of each token; float32."""

    @property
    def bits_N(self) -> np.ndarray:
        """-log2 of the probability of each token."""
        return self.nats_N / np.log(2).astype(np.float32)


def score(model: Any, params: Any, tokenizer: Tokenizer, texts: Sequence[str], *, ends: tuple[str, str] = ENDS) -> list[Score]:
    """The cost of each token of each text: of causal models given those before it, of models that look both ways given all
    others, one hidden at a time (pseudo-log-likelihood, arXiv:1910.14659), which takes as many rows as tokens; of a pair it is
    the generator's.

    Args:
      ends: of models that look both ways: what stands before and after a text, by the names of `Vocab`, as `Objective.ends`.

    Raises:
      ConfigError: a text does not fit the context, or the model needs a mask token and the tokenizer has none.
    """
    require_no_encoder("score", model)
    vocab = tokenizer.vocab
    causal = model.attention == "causal"
    if not causal and vocab.mask is None:
        raise ConfigError("score: the model looks both ways and the run's tokenizer has no mask token to hide one with.")
    model, params = word_model(model, params)
    encoded = _encoded(tokenizer, texts, model.max_length, added=1 if causal else 2)
    nats = [np.zeros(len(ids_N), np.float32) for ids_N in encoded]
    questions: list[tuple[int, np.ndarray, np.ndarray]] = []  # (text, row, places in it whose successors or selves are sought)
    for number, ids_N in enumerate(encoded):
        if causal:
            questions.append((number, np.concatenate([[vocab.bos], ids_N]), np.arange(len(ids_N))))
        else:
            whole_N = vocab.framed(ids_N, ends)
            for place in range(1, len(ids_N) + 1):
                hidden_N = whole_N.copy()
                hidden_N[place] = vocab.mask
                questions.append((number, hidden_N, np.array([place])))
    for part in _portions(questions):
        inputs = padded([row_N for _, row_N, _ in part], "right")
        index_BM, targets_BM = (np.zeros((len(part), inputs.tokens_BL.shape[1] if causal else 1), np.int32) for _ in range(2))
        for b, (number, _, places) in enumerate(part):
            index_BM[b, : len(places)] = places
            targets_BM[b, : len(places)] = encoded[number][places if causal else places - 1]
        nats_BM = np.asarray(_nats(params, inputs, index_BM, targets_BM, model=model))
        for b, (number, _, places) in enumerate(part):
            nats[number][places if causal else places - 1] = nats_BM[b, : len(places)]
    return [Score(tuple(tokenizer.pieces(ids_N)), nats_N) for ids_N, nats_N in zip(encoded, nats, strict=True)]


def embed(
    model: Any,
    params: Any,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    pooling: Literal["mean", "cls"] | None = "mean",
    ends: tuple[str, str] = ENDS,
) -> np.ndarray:
    """Vectors of texts, from the model's last hidden states; float32.

    Args:
      pooling: "mean" over a text's tokens, begin and end included; "cls": the first token's; None: no pooling.
      ends: what stands before and after a text, by the names of `Vocab`, as `Objective.ends`.

    Returns:
      [texts, D]; without pooling [texts, longest, D], begin and end tokens included, zeros after a text's end.

    Raises:
      ConfigError: a text does not fit the context, or there is no such pooling.
    """
    if pooling not in ("mean", "cls", None):
        raise ConfigError(f"embed: pooling={pooling!r} is unknown. Allowed: 'mean', 'cls', None.")
    require_no_encoder("embed", model)
    rows = [tokenizer.vocab.framed(ids_N, ends) for ids_N in _encoded(tokenizer, texts, model.max_length, added=2)]
    states = [
        np.asarray(hidden_LD[: len(row_N)], np.float32)
        for part in _portions(rows)
        for row_N, hidden_LD in zip(part, jax.device_get(_hidden(params, padded(part, "right"), model=model)), strict=True)
    ]
    D = model.dim()
    if pooling is not None:
        pooled = [state_LD.mean(0) if pooling == "mean" else state_LD[0] for state_LD in states]
        return np.array(pooled, np.float32).reshape(-1, D)
    vectors_NLD = np.zeros((len(states), max(map(len, states), default=0), D), np.float32)
    for state_LD, vectors_LD in zip(states, vectors_NLD, strict=True):
        vectors_LD[: len(state_LD)] = state_LD
    return vectors_NLD


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], max_length: int | None, added: int) -> list[np.ndarray]:
    encoded = tokenizer.encode_batch(texts)
    for text, ids_N in zip(texts, encoded, strict=True):
        if max_length is not None and len(ids_N) + added > max_length:
            raise ConfigError(
                f"texts: {text[:40]!r}... has {len(ids_N)} tokens; beside begin (and end) token the model's context of "
                f"{max_length} holds {max_length - added}. Cut it into parts."
            )
    return encoded


def _portions(items: list[Any]) -> Iterator[list[Any]]:
    return (items[k : k + ROWS] for k in range(0, len(items), ROWS))


@partial(jax.jit, static_argnames="model")
def _nats(params: Any, inputs: Inputs, index_BM: Array, targets_BM: Array, *, model: Any) -> Array:
    return token_nll(model.eval()(params, inputs).heads["lm"].at(index_BM), targets_BM)


@partial(jax.jit, static_argnames="model")
def _hidden(params: Any, inputs: Inputs, *, model: Any) -> Array:
    return model.eval()(params, inputs).hidden_BLD
