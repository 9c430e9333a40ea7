"""Smeared keys: each takes its share of the one before it in its segment."""

import jax.numpy as jnp
import numpy as np

from jaxlm.models.layers.smear import smeared

B, S, G, K = 2, 7, 2, 3
SEGMENTS_BS = np.array([[0, 0, 1, 1, 1, 2, 2], [1, 1, 1, 1, 0, 0, 0]])
SHARE_G = np.array([0.25, 0.9], np.float32)


def test_each_key_takes_its_heads_share_of_the_one_before():
    k = np.random.default_rng(0).normal(size=(B, S, G, K)).astype(np.float32)
    expected = k.copy()
    for b in range(B):
        for j in range(1, S):
            if SEGMENTS_BS[b, j] == SEGMENTS_BS[b, j - 1]:
                for g in range(G):
                    expected[b, j, g] = (1 - SHARE_G[g]) * k[b, j, g] + SHARE_G[g] * k[b, j - 1, g]
    np.testing.assert_allclose(smeared(jnp.asarray(k), jnp.asarray(SHARE_G), SEGMENTS_BS), expected, rtol=1e-6, atol=1e-6)


def test_a_key_keeps_its_dtype():
    k = jnp.ones((B, S, G, K), jnp.bfloat16)
    assert smeared(k, jnp.asarray(SHARE_G), SEGMENTS_BS).dtype == jnp.bfloat16
