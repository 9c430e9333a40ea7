"""Text from a model with its cache is the text that it gives without."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Inputs
from jaxlm.generate.decode import stream
from jaxlm.generate.sampling import Sampling
from jaxlm.laws.subject import Subject, Verdict

NEW_TOKENS, BOUND = 12, 1e-3


def cached(subject: Subject) -> Iterator[Verdict]:
    """The likeliest tokens after two prompts of unlike length, and their probabilities."""
    law = "generation with the cache is the same as without"
    if subject.model.attention != "causal" or not any(name == "lm" for name, _ in subject.model.heads):
        yield Verdict.not_here(law, "the model does not generate")
        return
    prompts = [subject.ordinary[:5].astype(np.int32), subject.ordinary[5:8].astype(np.int32)]
    encoder_texts = (
        [subject.ordinary[8:15].astype(np.int32), subject.ordinary[15:18].astype(np.int32)] if subject.model.encoder else []
    )
    with_cache, scores = _with_cache(subject, prompts, encoder_texts)
    apart, unlike = 0.0, 0
    for b, (prompt, ids, told) in enumerate(zip(prompts, with_cache, scores, strict=True)):
        whole = np.concatenate([prompt, ids])
        log_probs_LV = _without_cache(subject, whole, encoder_texts[b] if encoder_texts else None)[len(prompt) - 1 : -1]
        expected = log_probs_LV[np.arange(len(ids)), ids]
        apart = max(apart, float(np.abs(expected - told).max()))
        unlike += int((expected < log_probs_LV.max(-1) - BOUND).sum())
    holds = apart <= BOUND and not unlike
    yield Verdict(law, holds, f"{unlike} of {2 * NEW_TOKENS} tokens differ, log-probability {apart:.1e}", f"{BOUND:.0e}")


def _with_cache(subject: Subject, prompts: list[np.ndarray], encoder_texts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    keys = jax.random.split(subject.noise, len(prompts))
    steps = list(
        stream(
            subject.model,
            subject.params,
            prompts,
            limits=[NEW_TOKENS] * len(prompts),
            keys_B=keys,
            sampling=Sampling(temperature=0),
            encoder_texts=encoder_texts,
            vocab_size=subject.vocab.size,
        )
    )
    return np.stack([step.ids_B for step in steps], axis=1), np.stack([step.log_probs_B for step in steps], axis=1)


def _without_cache(subject: Subject, ids_L: np.ndarray, encoder_ids_S: np.ndarray | None) -> np.ndarray:
    """[L, V] log-probabilities of the next token at each place, of one pass over all."""

    @jax.jit
    def log_probs(params: Any) -> Any:
        inputs = _row(ids_L)._replace(encoder=None if encoder_ids_S is None else _row(encoder_ids_S))
        return jax.nn.log_softmax(subject.model.eval()(params, inputs).heads["lm"].logits()[0, :, : subject.vocab.size])

    return np.asarray(log_probs(subject.params))


def _row(ids_L: np.ndarray) -> Inputs:
    row_1L = jnp.asarray(ids_L)[None]
    return Inputs(row_1L, jnp.arange(row_1L.shape[1])[None], jnp.ones_like(row_1L))
