import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.core.readout import Readout
from jaxlm.kernels.cross_entropy import token_nll

V, PADDED = 11, 14


@pytest.mark.parametrize("soft_cap", [None, 5.0])
@pytest.mark.parametrize("rows", [V, PADDED])
def test_value_and_gradient_are_autodiffs(soft_cap, rows):
    keys = jax.random.split(jax.random.key(0), 5)
    hidden, table = jax.random.normal(keys[0], (2, 5, 8)), 3 * jax.random.normal(keys[1], (rows, 8))
    bias, targets = jax.random.normal(keys[2], (rows,)), jax.random.randint(keys[3], (2, 5), 0, V)
    weights = jax.random.normal(keys[4], (2, 5))

    def plain(hidden, table, bias):
        logits = Readout(hidden, table, bias, V, soft_cap).logits()
        picked = jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
        return ((jax.nn.logsumexp(logits, -1) - picked) * weights).sum()

    def ours(*a):
        return (token_nll(Readout(*a, V, soft_cap), targets) * weights).sum()

    expected = jax.value_and_grad(plain, (0, 1, 2))(hidden, table, bias)
    got = jax.value_and_grad(ours, (0, 1, 2))(hidden, table, bias)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_bfloat16_hidden_states_give_a_float32_loss_and_a_float32_gradient_of_the_table():
    hidden, table = jnp.ones((1, 3, 8), jnp.bfloat16), jax.random.normal(jax.random.key(0), (V, 8))

    def loss(h, t):
        return token_nll(Readout(h, t, None, V), jnp.zeros((1, 3), int)).sum()

    assert loss(hidden, table).dtype == jnp.float32
    to_hidden, to_table = jax.grad(loss, (0, 1))(hidden, table)
    assert to_hidden.dtype == jnp.bfloat16
    assert to_table.dtype == jnp.float32
