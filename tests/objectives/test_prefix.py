"""Prefix language modelling: how long prefixes are, and who sees whom."""

from collections import Counter

import jax
import numpy as np
import tiny

from jaxlm.core import Inputs
from jaxlm.core.noise import host_generator
from jaxlm.objectives import PrefixLM


def test_cuts_are_drawn_evenly():
    cuts = Counter()
    for row in range(2000):
        example = PrefixLM().prepare((tiny.window(12, row, documents=1),), host_generator(0, "prepare", row), tiny.vocab(), 11)
        cuts[int(example["prefix"].sum())] += 1
        assert example["weights"].sum() == 12 - example["prefix"].sum()  # each token is given away, or asked for
    assert sorted(cuts) == list(range(1, 11))
    assert all(tiny.likely(count, 2000, 1 / 10) for count in cuts.values())


def test_a_prefix_sees_itself_both_ways_and_the_rest_looks_back():
    """Places whose logits move with another token at `place`."""
    model = tiny.model("llama", num_layers=1)
    params, ids_L = tiny.params(model), np.arange(7, 17)
    positions_L = np.array([*range(6), *range(4)])
    segments_L, prefix_L = np.array([1] * 6 + [2] * 4), np.array([1, 1, 1, 0, 0, 0, 1, 0, 0, 0], bool)

    @jax.jit
    def hidden(ids_L):
        inputs = Inputs(*(x[None] for x in (ids_L, positions_L, segments_L)), prefix_BL=prefix_L[None])
        return model(params, inputs).hidden_BLD[0]

    plain = hidden(ids_L)
    for place, moved in {2: {0, 1, 2, 3, 4, 5}, 4: {4, 5}, 6: {6, 7, 8, 9}, 7: {7, 8, 9}}.items():
        other_L = ids_L.copy()
        other_L[place] = 40
        assert set(np.flatnonzero(np.abs(hidden(other_L) - plain).max(-1) > 0)) == moved
