"""What losses ask of the vocabulary: values and gradients against numpy, memory, work, and what devices send each other."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxlm.core import Readout
from jaxlm.kernels.cross_entropy import blocks_for, token_nll, token_scores
from jaxlm.models.families.gpt2 import gpt2
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.mesh import make_mesh

B, L, D, V = 2, 5, 6, 11
RNG = np.random.default_rng(0)
HIDDEN, TABLE, BIAS = (RNG.normal(size=shape).astype(np.float32) for shape in ((B, L, D), (V, D), (V,)))
TARGETS = RNG.integers(0, V, (B, L)).astype(np.int32)
PROBE = RNG.normal(size=(B, L)).astype(np.float32)


WEIGHTS = {"logsumexp": 0.3, "target": -0.7, "mean": 0.2}
"""Of each score in the tested sum, so that all have a gradient."""


@pytest.mark.parametrize("num_blocks", [1, 4])
@pytest.mark.parametrize("bias", [None, BIAS], ids=["no bias", "bias"])
@pytest.mark.parametrize("soft_cap", [None, 2.0])
@pytest.mark.parametrize("rows", [V, V + 5])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_and_gradients_are_those_of_numpy(num_blocks, bias, soft_cap, rows, dtype):
    hidden = jnp.asarray(HIDDEN, dtype)
    table = np.concatenate([TABLE, np.full((rows - V, D), 7, np.float32)])
    if dtype == "bfloat16":  # what rounds is the product, not what we compare with
        table = np.asarray(jnp.asarray(table, dtype), np.float32)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    near = close if dtype == "float32" else partial(np.testing.assert_allclose, rtol=0.02, atol=0.05)

    def loss(hidden, table, bias):
        scores = token_scores(Readout(hidden, table, bias, V, soft_cap), TARGETS, num_blocks)
        return sum((getattr(scores, name) * PROBE).sum() * weight for name, weight in WEIGHTS.items()), scores

    trained = (0, 1) if bias is None else (0, 1, 2)
    gradients, got = jax.jit(jax.grad(loss, argnums=trained, has_aux=True))(hidden, table, bias)

    hidden, table = np.asarray(hidden, np.float64), table[:V]
    raw = hidden @ table.T + (0 if bias is None else bias)
    logits = raw if soft_cap is None else soft_cap * np.tanh(raw / soft_cap)
    total = np.log(np.exp(logits).sum(-1))
    one_hot = np.eye(V)[TARGETS]
    close(got.logsumexp, total)
    close(got.target, (logits * one_hot).sum(-1))
    close(got.mean, logits.mean(-1))

    slope = WEIGHTS["logsumexp"] * np.exp(logits - total[..., None]) + WEIGHTS["target"] * one_hot + WEIGHTS["mean"] / V
    slope = slope * PROBE[..., None] * (1 if soft_cap is None else 1 - np.tanh(raw / soft_cap) ** 2)
    near(gradients[0].astype(np.float32), slope @ table)
    near(gradients[1][:V], np.einsum("blv,bld->vd", slope, hidden))
    assert not np.asarray(gradients[1][V:]).any()
    if bias is not None:
        close(gradients[2], slope.sum((0, 1)))


def gradient(vocab_size, num_blocks=None, **kwargs):
    """Jitted: loss, and gradient of hidden states and table."""

    def loss(hidden, table, targets):
        return token_scores(Readout(hidden, table, None, vocab_size), targets, num_blocks).nll.mean()

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)), **kwargs)


def shapes(B, L, D, V, dtype="float32"):
    return jax.ShapeDtypeStruct((B, L, D), dtype), jax.ShapeDtypeStruct((V, D), "float32"), jax.ShapeDtypeStruct((B, L), "int32")


GPT2 = (8, 1024, 768, 50257)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_large_vocabulary_takes_a_sixth_of_the_memory(dtype):
    plain, blocked = (
        gradient(GPT2[-1], num_blocks).lower(*shapes(*GPT2, dtype)).compile().memory_analysis().temp_size_in_bytes
        for num_blocks in (1, None)
    )
    assert 6 * blocked < plain


def test_the_only_extra_work_is_one_product_and_a_ninth_of_a_step(monkeypatch):
    """Counted before XLA merges what is alike, with blocks unrolled: of a loop only one turn is counted."""
    monkeypatch.setattr(jax.lax, "fori_loop", lambda start, stop, body, init: _unrolled(range(start, stop), body, init))
    plain, blocked = (gradient(GPT2[-1], num_blocks).lower(*shapes(*GPT2)).cost_analysis()["flops"] for num_blocks in (1, None))
    B, L, D, V = GPT2
    product = 2 * B * L * D * V
    assert product < blocked - plain < 1.1 * product
    assert blocked - plain < 0.11 * gpt2("small", vocab_size=V).flops_per_token(L) * B * L


def _unrolled(numbers, body, value):
    for number in numbers:
        value = body(number, value)
    return value


def test_small_logits_are_kept_and_large_ones_cut_finely_enough():
    assert blocks_for(2**13, 2**13) == blocks_for(10**8, 65) == 1
    assert blocks_for(2**13 + 1, 2**13) > 1
    assert all(V <= 2048 * blocks_for(8192, V) < 2 * V for V in (30522, 32000, 50257, 128256))


@pytest.mark.parametrize("sizes", [(8, 1, 1), (1, 8, 1), (2, 1, 4), (2, 2, 2)], ids=str)
def test_devices_share_the_work_and_never_gather_logits(sizes):
    """A vocabulary that the table's padding fills up to what `tensor` divides."""
    B, L, D, V, rows, C = 8, 6, 16, 250, 256, 4
    mesh = make_mesh(MeshConfig(*sizes), jax.devices())
    by_row, by_id = NamedSharding(mesh, P(("data", "fsdp"))), NamedSharding(mesh, P("tensor", "fsdp"))
    rng = np.random.default_rng(0)
    hidden, table = rng.normal(size=(B, L, D)).astype(np.float32), rng.normal(size=(rows, D)).astype(np.float32)
    targets = rng.integers(0, V, (B, L)).astype(np.int32)
    compiled = (
        gradient(V, C, in_shardings=(by_row, by_id, by_row), out_shardings=(None, (by_row, by_id)))
        .lower(hidden, table, targets)
        .compile()
    )
    arguments = jax.device_put((hidden, table, targets), (by_row, by_id, by_row))
    for got, expected in zip(
        jax.tree.leaves(compiled(*arguments)), jax.tree.leaves(gradient(V, 1)(hidden, table, targets)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    moved = re.findall(r"f32\[([\d,]+)\]\S* (?:all-gather|all-to-all|collective-permute)\(", compiled.as_text())
    largest = max((np.prod([int(n) for n in shape.split(",")]) for shape in moved), default=0)
    assert largest <= rows // C * D  # at most a block of the table, as fsdp gathers it
    one = gradient(V, C).lower(hidden, table, targets).compile().cost_analysis()["flops"]
    assert compiled.cost_analysis()["flops"] < 1.5 * one / 8


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
