"""Negative log-likelihood of targets: values and gradients against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.core import Readout
from jaxlm.kernels.cross_entropy import token_nll

B, L, D, V = 2, 5, 6, 11
RNG = np.random.default_rng(0)
HIDDEN, TABLE, BIAS = (RNG.normal(size=shape).astype(np.float32) for shape in ((B, L, D), (V, D), (V,)))
TARGETS = RNG.integers(0, V, (B, L)).astype(np.int32)
PROBE = RNG.normal(size=(B, L)).astype(np.float32)


@pytest.mark.parametrize("bias", [None, BIAS], ids=["no bias", "bias"])
@pytest.mark.parametrize("soft_cap", [None, 2.0])
@pytest.mark.parametrize("rows", [V, V + 5])
def test_values_and_gradients_are_those_of_numpy(bias, soft_cap, rows):
    table = np.concatenate([TABLE, np.full((rows - V, D), 7, np.float32)])

    def loss(hidden, table, bias):
        nll_BL = token_nll(Readout(hidden, table, bias, V, soft_cap), TARGETS)
        return (nll_BL * PROBE).sum(), nll_BL

    trained = (0, 1) if bias is None else (0, 1, 2)
    gradients, got = jax.jit(jax.grad(loss, argnums=trained, has_aux=True))(HIDDEN, table, bias)

    raw = HIDDEN.astype(np.float64) @ TABLE.T + (0 if bias is None else bias)
    logits = raw if soft_cap is None else soft_cap * np.tanh(raw / soft_cap)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(got, -np.log(np.take_along_axis(p, TARGETS[..., None], -1)[..., 0]), rtol=1e-5)

    slope = (p - np.eye(V)[TARGETS]) * PROBE[..., None]
    slope = slope if soft_cap is None else slope * (1 - np.tanh(raw / soft_cap) ** 2)
    np.testing.assert_allclose(gradients[0], slope @ TABLE, atol=1e-5)
    np.testing.assert_allclose(gradients[1][:V], np.einsum("blv,bld->vd", slope, HIDDEN), atol=1e-5)
    assert not np.asarray(gradients[1][V:]).any()
    if bias is not None:
        np.testing.assert_allclose(gradients[2], slope.sum((0, 1)), atol=1e-5)


def test_huge_logits_stay_finite_and_bfloat16_is_scored_in_float32():
    readout = Readout(jnp.asarray(HIDDEN * 1e4), jnp.asarray(TABLE), None, V)
    assert np.isfinite(token_nll(readout, TARGETS)).all()
    half = Readout(jnp.asarray(HIDDEN, jnp.bfloat16), jnp.asarray(TABLE), None, V)
    assert token_nll(half, TARGETS).dtype == jnp.float32
    np.testing.assert_allclose(token_nll(half, TARGETS), token_nll(Readout(HIDDEN, TABLE, None, V), TARGETS), rtol=0.05, atol=0.05)


def test_picked_places_are_those_of_the_whole():
    readout = Readout(jnp.asarray(HIDDEN), jnp.asarray(TABLE), jnp.asarray(BIAS), V)
    index = np.array([[3, 0], [1, 1]])
    np.testing.assert_allclose(
        token_nll(readout.at(index), np.take_along_axis(TARGETS, index, 1)),
        np.take_along_axis(np.asarray(token_nll(readout, TARGETS)), index, 1),
        rtol=1e-6,
    )
