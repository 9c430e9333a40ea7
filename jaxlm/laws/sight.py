"""What a place sees of the others: of the model by gradient, which is exactly 0 or not; through the loss by other tokens."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import Inputs
from jaxlm.laws.subject import EXACTLY, Subject, Verdict, spread

SEGMENTS_L = np.array([1] * 5 + [2] * 4 + [0] * 3, np.int32)
"""Two documents and padding."""
POSITIONS_L = np.array([*range(5), *range(4), 0, 0, 0], np.int32)
ENCODER_SEGMENTS_S = np.array([1] * 3 + [2] * 5 + [0] * 2, np.int32)
"""The same two for an encoder."""
ENCODER_POSITIONS_S = np.array([*range(3), *range(5), 0, 0], np.int32)


def influence(model: Any, params: Any, inputs: Inputs) -> np.ndarray:
    """[N, N]: how much the hidden state at a place moves with the input at another, of one row; with an encoder the places are
    those of the decoder, then its own. The ids are all different: each place has a token of its own, so the gradient of a
    token's vector is that of its place."""
    ids = np.concatenate([text.tokens_BL[0] for text in _texts(inputs)]).tolist()
    assert len(set(ids)) == len(ids), "each place needs a token of its own"
    return np.asarray(_influence(params, inputs, model=model))


def _texts(inputs: Inputs) -> list[Inputs]:
    return [inputs] if inputs.encoder is None else [inputs, inputs.encoder]


@partial(jax.jit, static_argnames="model")
def _influence(params: Any, inputs: Inputs, *, model: Any) -> Any:
    ids_N = jnp.concatenate([text.tokens_BL[0] for text in _texts(inputs)])

    def scalar(rows_ND: Any, i: Any) -> Any:
        table = params["embed"]["table"].at[ids_N].set(rows_ND)
        out = model({**params, "embed": {**params["embed"], "table": table}}, inputs)
        hidden_ND = jnp.concatenate([out.hidden_BLD[0], *(() if inputs.encoder is None else (out.encoder_BSD[0],))])
        probe_ND = np.random.default_rng(0).standard_normal(hidden_ND.shape, np.float32)
        return (hidden_ND.astype(jnp.float32) * probe_ND).sum(-1)[i]

    rows_ND = params["embed"]["table"][ids_N]
    gradient_NND = jax.lax.map(lambda i: jax.grad(scalar)(rows_ND, i), jnp.arange(len(ids_N)))
    return jnp.abs(gradient_NND).sum(-1)


def sight(subject: Subject) -> Iterator[Verdict]:
    """Look-ahead, segments, padding; that both sides are seen where the model says so, and an encoder where there is one."""
    inputs = _two_documents(subject)
    parts = subject.model.eval().parts(subject.params)
    seen_PNN = np.stack([influence(part, own, inputs) for part, own in parts]) > 0
    L, N = len(SEGMENTS_L), seen_PNN.shape[-1]
    segments_N = np.concatenate([SEGMENTS_L, ENCODER_SEGMENTS_S])[:N]
    real_N, decoder_N = segments_N > 0, np.arange(N) < L
    same_NN = (segments_N[:, None] == segments_N[None, :]) & real_N[:, None]
    after_NN = ~np.tri(N, dtype=bool) & same_NN
    own_NN, encoder_NN = decoder_N[:, None] & decoder_N[None, :], ~decoder_N[:, None] & ~decoder_N[None, :]

    def none_of(law: str, pairs_NN: np.ndarray) -> Verdict:
        return Verdict.exact(law, int((seen_PNN & pairs_NN).sum()), f"of {len(parts) * pairs_NN.sum()} pairs")

    def all_of(law: str, pairs_NN: np.ndarray) -> Verdict:
        return Verdict.exact(law, int((~seen_PNN & pairs_NN).sum()), f"of {len(parts) * pairs_NN.sum()} pairs unseen")

    ahead, both = "no place sees one after it", "each place sees those after it"
    if subject.model.attention == "causal":
        yield none_of(ahead, after_NN & own_NN)
        yield Verdict.not_here(both, "the model is causal")
    else:
        yield Verdict.not_here(ahead, f"the model is {subject.model.attention}")
        if subject.model.attention == "bidirectional":
            yield all_of(both, after_NN & own_NN)
    if subject.model.encoder:
        yield all_of("each place of the encoder sees those after it", after_NN & encoder_NN)
        yield all_of("each place sees its document in the encoder", same_NN & decoder_N[:, None] & ~decoder_N[None, :])
        yield none_of("no place of the encoder sees the decoder", ~decoder_N[:, None] & decoder_N[None, :])
    yield none_of("no place sees another document", ~same_NN & real_N[:, None] & real_N[None, :])
    yield none_of("no place sees padding", real_N[:, None] & ~real_N[None, :])


def _two_documents(subject: Subject) -> Inputs:
    """A row of them, each token another."""
    sides = [(POSITIONS_L, SEGMENTS_L), (ENCODER_POSITIONS_S, ENCODER_SEGMENTS_S)][: 2 if subject.model.encoder else 1]
    cuts = np.cumsum([0, *(len(segments) for _, segments in sides)])
    ids_N = subject.ordinary[: cuts[-1]]
    assert len(ids_N) == cuts[-1], f"the vocabulary has less than {cuts[-1]} ordinary ids"
    rows_B = np.zeros(1, np.int32)
    texts = [
        Inputs(ids_N[None, start:stop], positions[None], segments[None], rows_B)
        for start, stop, (positions, segments) in zip(cuts, cuts[1:], sides, strict=False)
    ]
    return texts[0]._replace(encoder=texts[1] if subject.model.encoder else None)


def through_loss(subject: Subject) -> Iterator[Verdict]:
    """The loss at a place moves with no token that it must not see; a loss may give the model other inputs than the row's."""
    batch, rows = dict(subject.batch), np.arange(len(subject.batch["weights"]))
    weighed_BL = batch["weights"] > 0
    place_B = np.argmax(np.cumsum(weighed_BL, 1) > weighed_BL.sum(1, keepdims=True) // 2, axis=1)  # the middle one
    alone_BL = np.zeros_like(weighed_BL)
    alone_BL[rows, place_B] = True
    for name in [name for name in batch if name.endswith("weights")]:
        batch[name] = batch[name] * (alone_BL if batch[name].shape == alone_BL.shape else False)
    segment_B1 = batch["segments"][rows, place_B][:, None]
    own_BL = batch["segments"] == segment_B1
    after_BL = own_BL & (np.arange(own_BL.shape[1]) > place_B[:, None])
    others = {"tokens": ~own_BL}
    if subject.objective.encoder:
        others["encoder_tokens"] = batch["encoder_segments"] != segment_B1
    ahead = "the loss at a place does not move with the tokens after it"
    if subject.objective.attention == "causal":
        yield _moved(subject, batch, ahead, {"tokens": after_BL})
    else:
        yield Verdict.not_here(ahead, f"the objective's attention is {subject.objective.attention}")
    yield _moved(subject, batch, "the loss at a place does not move with another document", others)


def _moved(subject: Subject, batch: dict[str, np.ndarray], law: str, changes: dict[str, np.ndarray]) -> Verdict:
    """By how much the terms move with the tokens of these places of these fields."""
    changed = dict(batch)
    for name, places_BL in changes.items():
        other_BL = subject.ordinary[(batch[name] + 1) % len(subject.ordinary)]
        changed[name] = np.where(places_BL, other_BL, batch[name]).astype(batch[name].dtype)
    terms, moved = (subject.sums(subject.params, each).terms for each in (batch, changed))
    return Verdict.within(law, spread(terms, moved), EXACTLY)
