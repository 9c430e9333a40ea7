"""The learning rate at the points that matter: first update, end of the warm-up, middle, last, beyond."""

import math

import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.optim import WSD, AdamW, Constant, Cosine, Linear, RSqrt, Schedule

PEAK, WARMUP, STEPS = 2.0, 10, 110
AT = (0, 9, 10, 60, 90, 110, 1000)
"""First update, last of the warm-up, first after it, the middle, later, the end, beyond."""

EXPECTED = {
    Constant(): (0.2, 2, 2, 2, 2, 2, 2),
    Cosine(final=0.1): (0.2, 2, 2, 1.1, 2 * (0.1 + 0.45 * (1 + math.cos(0.8 * math.pi))), 0.2, 0.2),
    Linear(final=0.0): (0.2, 2, 2, 1, 0.4, 0, 0),
    Linear(final=0.5): (0.2, 2, 2, 1.5, 1.2, 1, 1),
    WSD(decay=0.2, final=0.0): (0.2, 2, 2, 2, 2 * 20 / 22, 0, 0),  # the last 22 of 110 steps
    RSqrt(): (
        0.2,
        2,
        2 * math.sqrt(10 / 11),
        2 * math.sqrt(10 / 61),
        2 * math.sqrt(10 / 91),
        *(2 * math.sqrt(10 / n) for n in (111, 1001)),
    ),
}


@pytest.mark.parametrize("schedule", EXPECTED, ids=str)
def test_values(schedule):
    optimizer = AdamW(learning_rate=PEAK, warmup_steps=WARMUP, steps=STEPS, schedule=schedule)
    np.testing.assert_allclose(optimizer.rate(np.array(AT)), EXPECTED[schedule], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("schedule", EXPECTED, ids=str)
def test_without_warm_up_it_begins_at_the_peak_and_never_rises(schedule):
    rates = AdamW(learning_rate=PEAK, steps=20, schedule=schedule).rate(np.arange(40))
    assert rates[0] == pytest.approx(PEAK)
    assert (np.diff(rates) <= 1e-6).all()
    assert rates.dtype == np.float32


def test_every_schedule_is_tested():
    assert {type(schedule) for schedule in EXPECTED} == set(Schedule.__subclasses__())


def test_a_warm_up_longer_than_the_run():
    rates = AdamW(learning_rate=1.0, warmup_steps=100, steps=10).rate(np.arange(10))
    np.testing.assert_allclose(rates, np.arange(1, 11) / 100, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 0.0}, "optimizer.learning_rate=0.0 must be above 0"),
        ({"warmup_steps": -1}, "optimizer.warmup_steps=-1 must be at least 0"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ConfigError) as error:
        AdamW(**settings)
    assert str(error.value) == words
