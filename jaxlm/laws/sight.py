"""What a place sees of the others: of the model by gradient, which is exactly 0 or not; through the loss by other tokens."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Inputs
from jaxlm.laws.subject import EXACTLY, Subject, Verdict, spread

SEGMENTS_L = np.array([1] * 5 + [2] * 4 + [0] * 3, np.int32)
"""Two documents and padding."""
POSITIONS_L = np.array([*range(5), *range(4), 0, 0, 0], np.int32)


def influence(model: Any, params: Any, ids_L: np.ndarray, positions_L: np.ndarray, segments_L: np.ndarray) -> np.ndarray:
    """[L, L]: how much the hidden state at a place moves with the input at another. The ids are all different: each place has
    a token of its own, so the gradient of a token's vector is that of its place."""
    L, D = len(ids_L), model.embed.embed_dim
    assert len(set(ids_L.tolist())) == L, "each place needs a token of its own"
    inputs = Inputs(ids_L[None], positions_L[None], segments_L[None], np.zeros(1, np.int32))
    probe_LD = np.random.default_rng(0).standard_normal((L, D), np.float32)

    def scalar(rows_LD: Any, i: Any) -> Any:
        table = params["embed"]["table"].at[ids_L].set(rows_LD)
        hidden_LD = model({**params, "embed": {**params["embed"], "table": table}}, inputs).hidden_BLD[0]
        return (hidden_LD.astype(jnp.float32) * probe_LD).sum(-1)[i]

    rows_LD = params["embed"]["table"][ids_L]
    gradient_LLD = jax.jit(lambda rows: jax.lax.map(lambda i: jax.grad(scalar)(rows, i), jnp.arange(L)))(rows_LD)
    return np.abs(np.asarray(gradient_LLD)).sum(-1)


def sight(subject: Subject) -> Iterator[Verdict]:
    """Look-ahead, segments, padding; and that both sides are seen where the model says so."""
    ids_L = subject.ordinary[: len(SEGMENTS_L)]
    assert len(ids_L) == len(SEGMENTS_L), f"the vocabulary has less than {len(SEGMENTS_L)} ordinary ids"
    seen_LL = influence(subject.model.eval(), subject.params, ids_L, POSITIONS_L, SEGMENTS_L) > 0
    real_L = SEGMENTS_L > 0
    same_LL = SEGMENTS_L[:, None] == SEGMENTS_L[None, :]
    after_LL = ~np.tri(len(SEGMENTS_L), dtype=bool) & same_LL & real_L[:, None]
    ahead = "no place sees one after it"
    both = "each place sees those after it"
    if subject.model.attention == "causal":
        yield Verdict.exact(ahead, int((seen_LL & after_LL).sum()), f"of {after_LL.sum()} pairs")
        yield Verdict.not_here(both, "the model is causal")
    else:
        yield Verdict.not_here(ahead, f"the model is {subject.model.attention}")
        if subject.model.attention == "bidirectional":
            yield Verdict.exact(both, int((~seen_LL & after_LL).sum()), f"of {after_LL.sum()} pairs unseen")
    across_LL = ~same_LL & real_L[:, None] & real_L[None, :]
    yield Verdict.exact("no place sees another document", int((seen_LL & across_LL).sum()), f"of {across_LL.sum()} pairs")
    padding_LL = real_L[:, None] & ~real_L[None, :]
    yield Verdict.exact("no place sees padding", int((seen_LL & padding_LL).sum()), f"of {padding_LL.sum()} pairs")


def through_loss(subject: Subject) -> Iterator[Verdict]:
    """The loss at a place moves with no token that it must not see; a loss may give the model other inputs than the row's."""
    batch, rows = dict(subject.batch), np.arange(len(subject.batch["weights"]))
    weighed_BL = batch["weights"] > 0
    place_B = np.argmax(np.cumsum(weighed_BL, 1) > weighed_BL.sum(1, keepdims=True) // 2, axis=1)  # the middle one
    alone_BL = np.zeros_like(weighed_BL)
    alone_BL[rows, place_B] = True
    for name in [name for name in batch if name.endswith("weights")]:
        batch[name] = batch[name] * (alone_BL if batch[name].shape == alone_BL.shape else False)
    own_BL = batch["segments"] == batch["segments"][rows, place_B][:, None]
    after_BL = own_BL & (np.arange(own_BL.shape[1]) > place_B[:, None])
    ahead = "the loss at a place does not move with the tokens after it"
    if subject.objective.attention == "causal":
        yield _moved(subject, batch, ahead, after_BL)
    else:
        yield Verdict.not_here(ahead, f"the objective's attention is {subject.objective.attention}")
    yield _moved(subject, batch, "the loss at a place does not move with another document", ~own_BL)


def _moved(subject: Subject, batch: dict[str, np.ndarray], law: str, changed_BL: np.ndarray) -> Verdict:
    """By how much the terms move with the tokens of these places."""
    other_BL = subject.ordinary[(batch["tokens"] + 1) % len(subject.ordinary)]
    changed = {**batch, "tokens": np.where(changed_BL, other_BL, batch["tokens"]).astype(batch["tokens"].dtype)}
    terms, moved = (subject.sums(subject.params, each).terms for each in (batch, changed))
    return Verdict.within(law, spread(terms, moved), EXACTLY)
