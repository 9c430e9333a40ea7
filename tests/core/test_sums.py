import numpy as np
import pytest

from jaxlm.core import Outputs, Sums


def test_sums_multiply_and_add_in_float32():
    sums = Sums.of(tokens=(np.float16([[2, 3], [4, 5]]), np.float32([[1, 0], [0.5, 2]])))
    assert sums.terms == {"tokens": 2 + 0 + 2 + 10}
    assert sums.terms["tokens"].dtype == np.float32


def test_losses_of_the_model_are_kept_apart_and_added_over_calls():
    out = Outputs(np.zeros((2, 1, 1)), {}, {"router": np.float32([1, 2])})
    sums = Sums.of(out, out, tokens=(np.ones(2), np.ones(2)))
    assert sums.aux == {"router": 6}
    assert sums.terms == {"tokens": 2}


def test_metrics_bring_their_own_weight():
    assert Sums.of(metrics={"hits": (np.ones(4), np.float32([1, 1, 0, 0]))}).metrics == {"hits": (2, 2)}


def test_values_and_weights_of_other_shapes_are_a_fault():
    with pytest.raises(AssertionError, match=r"term 'tokens': values \(2,\) and weights \(1,\) differ in shape"):
        Sums.of(tokens=(np.ones(2), np.ones(1)))
