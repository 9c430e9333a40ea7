"""The losses as their papers state them, read by numpy."""

import jax
import numpy as np
import pytest
import tiny

from jaxlm.core import Inputs
from jaxlm.core.noise import host_generator
from jaxlm.objectives import CausalLM, MaskedLM

L = tiny.SEQ_LEN


@pytest.fixture(scope="module", params=["causal", "masked"])
def case(request):
    objective = CausalLM() if request.param == "causal" else MaskedLM(mask_rate=0.3)
    model = tiny.model("gpt2" if request.param == "causal" else "bert", num_layers=1)
    params = tiny.params(model)
    call = jax.jit(lambda inputs: model(params, inputs).heads["lm"].logits())

    def loss(batch):
        return float(objective.loss(model, params, batch, jax.random.key(0)).terms["tokens"])

    return request.param, objective, lambda inputs: np.asarray(call(inputs), np.float64), loss


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def test_the_loss_of_a_batch_equals_its_numpy_reading(case):
    kind, objective, logits, loss = case
    batch = tiny.batch(objective, 6, padded=8)
    log_p_BLV = log_softmax(logits(Inputs.of(batch)))
    total = 0.0
    for b in range(6):
        window = tiny.window(objective.raw_length(L), b, documents=1 + b % 3, padding=(b * 5) % 10)
        for i in range(L):
            if kind == "causal":  # -log P(w_{i+1} | w_1 .. w_i), in one document
                if window.segments_N[i] == window.segments_N[i + 1] > 0:
                    total -= log_p_BLV[b, i, window.ids_N[i + 1]]
            elif i in batch["masked_index"][b]:  # -log P(w_j | context)
                total -= log_p_BLV[b, i, window.ids_N[i]]
    assert total > 0
    assert loss(batch) == pytest.approx(total, rel=1e-5)


def test_no_word_is_read_from_what_comes_after_it(case):
    """Each prefix (causal) or document (masked) in a row of its own: all that a conditional may know, and no more."""
    kind, objective, logits, loss = case
    window = tiny.window(objective.raw_length(L), 3)
    example = objective.prepare((window,), host_generator(0, "prepare", 3), tiny.vocab(), L)
    batch = {**{name: array[None] for name, array in example.items()}, "row": np.int32([3])}
    total = 0.0
    for document in (1, 2):
        inside = np.flatnonzero(example["segments"] == document)
        tokens = example["tokens"][inside]
        alone_BL = np.zeros((L, L), np.int32)  # row i: the tokens 0 .. i, or all of them
        known_BL = np.zeros((L, L), np.int32)
        for i in range(len(tokens)):
            known = i + 1 if kind == "causal" else len(tokens)
            alone_BL[i, :known], known_BL[i, :known] = tokens[:known], 1
        positions_BL = np.broadcast_to(np.arange(L), (L, L))
        log_p_BLV = log_softmax(logits(Inputs(alone_BL, positions_BL, known_BL)))
        for i, place in enumerate(inside):
            if kind == "causal":
                asked = place + 1 < window.ids_N.size and window.segments_N[place + 1] == document
                total -= log_p_BLV[i, i, window.ids_N[place + 1]] if asked else 0
            else:
                total -= log_p_BLV[i, i, window.ids_N[place]] if place in example["masked_index"] else 0
    assert total > 0
    assert loss(batch) == pytest.approx(total, rel=1e-5)
