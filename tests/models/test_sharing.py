"""Layers that share their parameters, and token vectors narrower than the model (ALBERT)."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from jaxlm.core import Inputs
from jaxlm.models.layers import VocabHead

TOKENS_BL = np.random.default_rng(0).integers(7, tiny.VOCAB_SIZE, (2, 10)).astype(np.int32)
INPUTS = Inputs(TOKENS_BL, np.tile(np.arange(10, dtype=np.int32), (2, 1)), np.ones((2, 10), np.int32), np.array([3, 5], np.int32))


def apart(model):
    """The same model, each of whose layers has parameters of its own."""
    (stack,) = model.decoder
    return replace(model, decoder=(replace(stack, shared=False),))


def spread_out(params, repeats):
    """The shared layer's parameters, once for each layer."""
    return {**params, "decoder_0": jax.tree.map(lambda leaf: np.stack([leaf] * repeats), params["decoder_0"])}


def value_and_gradient(model, params, probe, rng=None):
    def total(params):
        return (model(params, INPUTS, rng=rng).heads["lm"].logits() * probe).sum()

    return jax.jit(jax.value_and_grad(total))(params)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_shared_layers_are_layers_with_equal_parameters_and_noise_of_their_own(dropout):
    """The gradient of what is shared is the sum over the layers that share it."""
    model = tiny.model("albert", num_layers=3, dropout=dropout)
    params = tiny.params(model)
    probe = np.random.default_rng(1).normal(size=(2, 10, tiny.VOCAB_SIZE)).astype(np.float32)
    value, gradient = value_and_gradient(model, params, probe, jax.random.key(0))
    expected, each = value_and_gradient(apart(model), spread_out(params, 3), probe, jax.random.key(0))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    each = {**each, "decoder_0": jax.tree.map(lambda leaf: leaf.sum(0), each["decoder_0"])}
    for got, want in zip(jax.tree.leaves(gradient), jax.tree.leaves(each), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, float(np.abs(want).max())))


def test_sharing_saves_parameters_and_no_flops():
    model = tiny.model("albert", num_layers=5)
    assert apart(model).num_params() - model.num_params() == 4 * (12 * 32**2 + 13 * 32)
    assert apart(model).flops_per_token(16) == model.flops_per_token(16)


def test_the_masked_head_scores_in_the_width_of_the_factors():
    out = tiny.model("albert")(tiny.params(tiny.model("albert")), INPUTS)
    assert out.hidden_BLD.shape[-1] == 32
    assert out.heads["lm"].hidden.shape[-1] == out.heads["lm"].table_VD.shape[-1] == 24


def test_a_head_of_its_own_table_is_as_wide_as_the_model():
    model = replace(tiny.model("albert"), heads=(("lm", VocabHead(tied=False)),))
    model.check()
    assert model(tiny.params(model), INPUTS).heads["lm"].table_VD.shape == (tiny.VOCAB_SIZE, 32)
