"""Next-token prediction."""

import numpy as np
import tiny

from jaxlm.core.noise import host_generator
from jaxlm.objectives import CausalLM

L = tiny.SEQ_LEN


def test_each_token_of_a_text_is_a_target_once():
    objective = CausalLM()
    text = tiny.window(3 * L + 1, 0, documents=3)
    targets = []
    for start in range(0, 3 * L, objective.raw_length(L) - objective.overlap):
        part = type(text)(*(array[start : start + objective.raw_length(L)] for array in text[:3]))
        example = objective.prepare((part,), host_generator(0, "prepare", start), tiny.vocab(), L)
        targets += example["targets"][example["weights"] > 0].tolist()
    expected = text.ids_N[text.positions_N > 0]  # all but each document's bos
    assert targets == expected.tolist()
    assert objective.num_targets(text.ids_N.size, 3) == len(targets)
    assert np.isin(tiny.vocab().eos, targets)
