"""Draws from a softmax: whose they are, how often they come, and what is held meanwhile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import Readout
from jaxlm.core.noise import row_keys
from jaxlm.kernels import draw as module
from jaxlm.kernels.cross_entropy import fine_blocks
from jaxlm.kernels.draw import draw, likeliest

B, M, D, V, ROWS = 3, 400, 4, 11, 13
RNG = np.random.default_rng(0)
HIDDEN, TABLE, BIAS = (RNG.normal(size=shape).astype(np.float32) for shape in ((B, 1, D), (ROWS, D), (ROWS,)))
READOUT = Readout(jnp.asarray(np.repeat(HIDDEN, M, axis=1)), jnp.asarray(TABLE), jnp.asarray(BIAS), V, soft_cap=2.0)
KEYS = row_keys(jax.random.key(0), np.arange(B))


@pytest.fixture(params=[1, 4], ids=["one block", "four blocks"])
def drawn(request, monkeypatch):
    monkeypatch.setattr(module, "fine_blocks", lambda size: request.param)
    return draw(READOUT, KEYS)


def test_ids_come_as_often_as_their_probability(drawn):
    softmax_BV = np.asarray(jax.nn.softmax(READOUT.logits()[:, 0]))
    for b in range(B):
        counts = np.bincount(drawn.sample[b], minlength=V)
        assert len(counts) == V  # none of the padding's
        assert all(tiny.likely(count, M, p) for count, p in zip(counts, softmax_BV[b], strict=True))


def test_the_likeliest_is_that_of_the_logits(drawn):
    np.testing.assert_array_equal(drawn.likeliest, READOUT.logits().argmax(-1))
    np.testing.assert_array_equal(likeliest(READOUT), READOUT.logits().argmax(-1))
    alike = Readout(jnp.zeros_like(READOUT.hidden), READOUT.table_VD, None, V)
    assert not likeliest(alike).any()  # of equals the lowest, however many blocks there are


def test_places_draw_apart_and_rows_by_their_key_alone(drawn):
    assert len(set(drawn.sample[0].tolist())) > 3
    alone = draw(Readout(READOUT.hidden[1:2], READOUT.table_VD, READOUT.bias_V, V, 2.0), KEYS[1:2])
    np.testing.assert_array_equal(alone.sample[0], drawn.sample[1])
    other = draw(READOUT, row_keys(jax.random.key(1), np.arange(B)))
    assert (other.sample != drawn.sample).any()


def test_no_gradient_flows(drawn):
    def total(hidden):
        return draw(Readout(hidden, READOUT.table_VD, READOUT.bias_V, V), KEYS).sample.sum().astype(jnp.float32)

    assert not np.asarray(jax.grad(total)(READOUT.hidden)).any()


def test_a_large_vocabulary_is_drawn_from_in_blocks():
    rows, places, size = 8, 64, 50_257
    shapes = (
        jax.ShapeDtypeStruct((rows, places, 32), "float32"),
        jax.ShapeDtypeStruct((size, 32), "float32"),
        jax.eval_shape(lambda: row_keys(jax.random.key(0), np.arange(rows))),
    )
    compiled = jax.jit(lambda hidden, table, keys: draw(Readout(hidden, table, None, size), keys)).lower(*shapes).compile()
    table, held = size * 32 * 4, compiled.memory_analysis().temp_size_in_bytes
    assert fine_blocks(size) == 32
    assert held < 2 * table + 4 * rows * places * size / 4  # a quarter of [B, M, V]
