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
    with_cache, scores = _with_cache(subject, prompts)
    apart, unlike = 0.0, 0
    for prompt, ids, told in zip(prompts, with_cache, scores, strict=True):
        log_probs_LV = _without_cache(subject, np.concatenate([prompt, ids]))[len(prompt) - 1 : -1]
        expected = log_probs_LV[np.arange(len(ids)), ids]
        apart = max(apart, float(np.abs(expected - told).max()))
        unlike += int((expected < log_probs_LV.max(-1) - BOUND).sum())
    holds = apart <= BOUND and not unlike
    yield Verdict(law, holds, f"{unlike} of {2 * NEW_TOKENS} tokens differ, log-probability {apart:.1e}", f"{BOUND:.0e}")


def _with_cache(subject: Subject, prompts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    keys = jax.random.split(subject.noise, len(prompts))
    steps = list(
        stream(
            subject.model,
            subject.params,
            prompts,
            limits=[NEW_TOKENS] * len(prompts),
            keys_B=keys,
            sampling=Sampling(temperature=0),
            vocab_size=subject.vocab.size,
        )
    )
    return np.stack([step.ids_B for step in steps], axis=1), np.stack([step.log_probs_B for step in steps], axis=1)


def _without_cache(subject: Subject, ids_L: np.ndarray) -> np.ndarray:
    """[L, V] log-probabilities of the next token at each place, of one pass over all."""

    @jax.jit
    def log_probs(params: Any) -> Any:
        row_1L = jnp.asarray(ids_L)[None]
        inputs = Inputs(row_1L, jnp.arange(row_1L.shape[1])[None], jnp.ones_like(row_1L))
        return jax.nn.log_softmax(subject.model.eval()(params, inputs).heads["lm"].logits()[0, :, : subject.vocab.size])

    return np.asarray(log_probs(subject.params))
