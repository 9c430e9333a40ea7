"""Which tokens can be drawn, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.generate import Sampling, sample

PROBABILITIES = np.array([0.05, 0.4, 0.1, 0.25, 0.2])
DRAWS = 4000


def draw(sampling: Sampling, logits_BV=None, seed=0):
    if logits_BV is None:
        logits_BV = np.tile(np.log(PROBABILITIES), (DRAWS, 1))
    keys_B = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(len(logits_BV)))
    return np.asarray(sample(jnp.asarray(logits_BV, jnp.float32), keys_B, sampling))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), PROBABILITIES),
        (Sampling(temperature=0.5), PROBABILITIES**2),
        (Sampling(temperature=2.0), PROBABILITIES**0.5),
        (Sampling(top_k=1), [0, 1, 0, 0, 0]),
        (Sampling(top_k=3), [0, 0.4, 0, 0.25, 0.2]),
        (Sampling(top_k=99), PROBABILITIES),
        (Sampling(top_p=0.39), [0, 1, 0, 0, 0]),
        (Sampling(top_p=0.41), [0, 0.4, 0, 0.25, 0]),  # the fewest that hold it: 0.4 do not
        (Sampling(top_p=0.86), [0, 0.4, 0.1, 0.25, 0.2]),
        (Sampling(top_p=1e-9), [0, 1, 0, 0, 0]),
        (Sampling(top_k=3, top_p=0.7), [0, 0.4, 0, 0.25, 0]),  # of 0.85: 0.65 / 0.85 > 0.7
        (Sampling(temperature=0.5, top_p=0.7), [0, 0.16, 0, 0.0625, 0]),  # of 0.275: 0.16 / 0.275 < 0.7
        (Sampling(temperature=0), [0, 1, 0, 0, 0]),
    ],
)
def test_frequencies(sampling, expected):
    expected = np.array(expected) / np.sum(expected)
    found = np.bincount(draw(sampling), minlength=5) / DRAWS
    assert (found[expected == 0] == 0).all()
    np.testing.assert_allclose(found, expected, atol=0.03)  # four standard deviations


def test_a_row_does_not_depend_on_the_others():
    logits_BV = np.random.default_rng(0).normal(size=(6, 50))
    for sampling in (Sampling(), Sampling(top_k=9, top_p=0.8)):
        assert draw(sampling, logits_BV)[:3].tolist() == draw(sampling, logits_BV[:3]).tolist()
    assert draw(Sampling(), logits_BV, seed=1).tolist() != draw(Sampling(), logits_BV, seed=2).tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, r"--temperature: -1.0 is not at least 0. 0 is greedy"),
        ({"temperature": float("inf")}, r"--temperature: inf is not"),
        ({"top_k": 0}, r"--top-k: 0 is not at least 1. Leave it out"),
        ({"top_p": 0.0}, r"--top-p: 0.0 is not above 0 and at most 1. Leave it out"),
        ({"top_p": 1.5}, r"--top-p: 1.5 is not"),
    ],
)
def test_bounds(settings, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**settings)
