import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.optim import WSD, AdamW, Constant, Cosine, Linear, RSqrt


def rates(schedule, steps=(0, 4, 9, 10, 55, 100, 150), warmup=10):
    optimizer = AdamW(learning_rate=2.0, warmup_steps=warmup, schedule=schedule, steps=100)
    return [float(optimizer.rate(step)) for step in steps]


@pytest.mark.parametrize(
    ("schedule", "after"),  # at 10 (the peak), 55 (half way), 100 (the end), 150 (beyond)
    [
        (Constant(), [2, 2, 2, 2]),
        (Cosine(final=0.1), [2, 1.1, 0.2, 0.2]),
        (Linear(final=0.5), [2, 1.5, 1, 1]),
        (WSD(decay=0.9, final=0.0), [2, 1, 0, 0]),
        (WSD(decay=0.2), [2, 2, 0, 0]),
        (RSqrt(), [2 * (10 / 11) ** 0.5, 2 * (10 / 56) ** 0.5, 2 * (10 / 101) ** 0.5, 2 * (10 / 151) ** 0.5]),
    ],
)
def test_a_straight_warm_up_then_the_shape(schedule, after):
    np.testing.assert_allclose(rates(schedule), [0.2, 1.0, 2.0, *after], rtol=1e-6, atol=1e-7)


def test_without_warm_up_the_first_rate_is_the_peak():
    assert rates(Cosine(), steps=(0,), warmup=0) == [2.0]


def test_a_rate_of_nothing_and_a_negative_warm_up_are_refused():
    with pytest.raises(ConfigError, match=r"optimizer.learning_rate=0 must be above 0"):
        AdamW(learning_rate=0)
    with pytest.raises(ConfigError, match=r"optimizer.warmup_steps=-1 must be at least 0"):
        AdamW(warmup_steps=-1)
