"""What is said of a loss that is a sum of two."""

import pytest

from jaxlm.report.replaced import base_rate_nats, judged

METRICS = {
    "eval/loss": 26.0,
    "eval/discriminator_nll": 0.2913,
    "eval/discriminator_accuracy": 0.8812,
    "eval/replaced": 0.142,
    "eval/generator_nll": 5.1234,
    "eval/generator_accuracy": 0.1249,
}


def test_both_losses_are_told_beside_what_knows_nothing():
    assert judged(METRICS) == (
        "discriminator: 0.2913 nats a token for whether it was replaced (0.4086 for who knows only that 14.2% were), 88.1% right; "
        "generator: 5.123 nats for a hidden token, 12% right"
    )


def test_another_objective_is_none_of_it():
    assert judged({"eval/loss": 2.0, "eval/bits_per_byte": 1.0}) is None


def test_the_base_rate():
    assert base_rate_nats(0.5) == pytest.approx(0.693147, rel=1e-6)
    assert base_rate_nats(0.0) == base_rate_nats(1.0) == 0
