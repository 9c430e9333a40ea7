"""A pair's summary, restated in numpy."""

import jax
import numpy as np
import pytest
import tiny

from jaxlm.core import Inputs
from jaxlm.models.layers import Classifier, Comparison

B, L, D = 2, 7, 4
RNG = np.random.default_rng(0)
X_BLD = RNG.normal(size=(B, L, D)).astype(np.float32)
SEGMENTS_BL = np.array([[1] * 7, [1] * 5 + [0] * 2], np.int32)
TYPES_BL = np.array([[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0]], np.int32)
INPUTS = Inputs(np.zeros((B, L), np.int32), np.zeros((B, L), np.int32), SEGMENTS_BL, token_types_BL=TYPES_BL)


def compared(x_BLD, types_BL, kernel, bias):
    rows = []
    for x_LD, segments_L, types_L in zip(x_BLD, SEGMENTS_BL, types_BL, strict=True):
        halves = [x_LD[(segments_L > 0) & (types_L == kind)] for kind in (0, 1)]
        a, b = (half.mean(0) if len(half) else np.zeros(D) for half in halves)
        rows.append(np.tanh(np.concatenate([a, b, abs(a - b), a * b]) @ kernel + bias))
    return np.array(rows)


@pytest.mark.parametrize("types_BL", [TYPES_BL, None], ids=["two halves", "one text"])
def test_a_comparison_is_its_formula(types_BL):
    module = Comparison().build("summary")
    inputs = INPUTS._replace(token_types_BL=types_BL)
    params = tiny.nn.unbox(module.init(jax.random.key(0), X_BLD, None, 0, inputs))["params"]
    kernel, bias = RNG.normal(size=(4 * D, D)).astype(np.float32), RNG.normal(size=D).astype(np.float32)
    assert {name: leaf.shape for name, leaf in params.items()} == {"kernel": kernel.shape, "kernel_bias": bias.shape}
    params = {"params": {"kernel": kernel, "kernel_bias": bias}}
    expected = compared(X_BLD, np.zeros_like(TYPES_BL) if types_BL is None else types_BL, kernel, bias)
    np.testing.assert_allclose(module.apply(params, X_BLD, None, 0, inputs), expected, rtol=1e-5, atol=1e-6)
    elsewhere = np.where(SEGMENTS_BL[..., None] > 0, X_BLD, 99)
    np.testing.assert_allclose(module.apply(params, elsewhere, None, 0, inputs), expected, rtol=1e-5, atol=1e-6)


def test_a_classifier_reads_it():
    module = Classifier(3, Comparison()).build("pairs")
    params = module.init(jax.random.key(0), X_BLD, None, 0, INPUTS)
    scores = module.apply(params, X_BLD, None, 0, INPUTS)
    assert (scores.shape, scores.dtype) == ((B, 3), np.float32)
    other = module.apply(params, X_BLD, None, 0, INPUTS._replace(token_types_BL=1 - TYPES_BL))
    assert (np.asarray(scores) != np.asarray(other)).all()
