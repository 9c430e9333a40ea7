"""Llama 3.1's slower rotations: against the three cases in wave lengths, as its release computes them."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError
from jaxlm.models.layers import RotaryScaling
from jaxlm.models.layers.positions import rotate


def slowed(frequency):
    wave = 2 * np.pi / frequency
    if wave < 8192 / 4:
        return frequency
    if wave > 8192 / 1:
        return frequency / 8
    share = (8192 / wave - 1) / (4 - 1)
    return (1 - share) * frequency / 8 + share * frequency


def test_frequencies_are_those_of_the_three_cases():
    frequencies = 500_000.0 ** (-np.arange(0, 128, 2) / 128)
    expected = np.array([slowed(frequency) for frequency in frequencies])
    ratios = expected / frequencies
    assert {1.0, 1 / 8} < set(ratios.tolist())
    np.testing.assert_allclose(RotaryScaling()(jnp.asarray(frequencies, jnp.float32)), expected, rtol=1e-5)


def test_rotation_is_slowed_by_it():
    """Pairs of (1, 0) turned by position x frequency: their angle is told."""
    x_BLHK = np.concatenate([np.ones((1, 1, 1, 4)), np.zeros((1, 1, 1, 4))], axis=-1).astype(np.float32)
    turned = np.asarray(rotate(x_BLHK, np.full((1, 1), 3), 500_000.0, RotaryScaling()))[0, 0, 0]
    angles = [3 * slowed(500_000.0 ** (-i / 4)) for i in range(4)]
    np.testing.assert_allclose(turned, [*np.cos(angles), *np.sin(angles)], atol=1e-6)


def test_the_model_says_which_setting_does_not_fit():
    def check(**settings):
        tiny.model("llama3", rotary_scaling=replace(RotaryScaling(), **settings)).check()

    check()
    where = r"^model.decoder.0.pattern.0.attention.rotary_scaling"
    with pytest.raises(ConfigError, match=rf"{where}.factor=0 must be above 0$"):
        check(factor=0)
    with pytest.raises(ConfigError, match=rf"{where}.high=1.0 must be above 1.0$"):
        check(high=1.0)
