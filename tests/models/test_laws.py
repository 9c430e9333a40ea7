"""What holds for every family: no look-ahead, nothing across segments or from padding, the same however it is computed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import Inputs, Readout
from jaxlm.laws.sight import influence
from jaxlm.models.layers.stack import REMAT

L = 12
TOKENS_BL = np.random.default_rng(0).integers(7, tiny.VOCAB_SIZE, (2, L)).astype(np.int32)
SEGMENTS_BL = np.array([[1] * 5 + [2] * 4 + [0] * 3, [1] * L], np.int32)
POSITIONS_BL = np.array([[*range(5), *range(4), 0, 0, 0], [*range(L)]], np.int32)
ROWS_B = np.array([3, 5], np.int32)
S = 9
ENCODER_SEGMENTS_BS = np.array([[1] * 3 + [2] * 4 + [0] * 2, [1] * S], np.int32)
ENCODER_POSITIONS_BS = np.array([[*range(3), *range(4), 0, 0], [*range(S)]], np.int32)
ENCODER = Inputs(TOKENS_BL[:, :S] - 1, ENCODER_POSITIONS_BS, ENCODER_SEGMENTS_BS, ROWS_B)


def inputs_for(model):
    return Inputs(TOKENS_BL, POSITIONS_BL, SEGMENTS_BL, ROWS_B, encoder=ENCODER if model.encoder else None)


INPUTS = inputs_for(tiny.model("gpt2"))


SEEN_BY = [pytest.param("plain", *each.values, marks=each.marks) for each in tiny.EACH_FAMILY]
SEEN_BY += [("blocked", family) for family in ("gemma", "t5")]  # a window and a soft cap; a bias and an encoder


@pytest.mark.parametrize(("kernel", "family"), SEEN_BY)
def test_a_token_sees_its_segment_and_only_the_past_where_causal(kernel, family):
    model = tiny.model(family, kernel=kernel)
    params = tiny.params(model)
    for b in range(2):
        inputs = jax.tree.map(lambda x, b=b: x[b : b + 1], inputs_for(model))._replace(tokens_BL=np.arange(7, 7 + L)[None])
        segments_N = SEGMENTS_BL[b]
        if model.encoder:  # its places follow the decoder's
            inputs = inputs._replace(encoder=inputs.encoder._replace(tokens_BL=np.arange(7 + L, 7 + L + S)[None]))
            segments_N = np.concatenate([segments_N, ENCODER_SEGMENTS_BS[b]])
        same_NN = (segments_N[:, None] == segments_N) & (segments_N > 0)
        if model.attention == "causal":
            same_NN[:L, :L] &= np.tri(L, dtype=bool)
        same_NN[L:, :L] = False
        for part, own in model.parts(params):
            assert ((influence(part, own, inputs) > 0)[segments_N > 0] == same_NN[segments_N > 0]).all()


@pytest.mark.parametrize("family", tiny.EACH_KIND)
def test_scanned_unrolled_and_rematerialised_are_the_same_model(family):
    params = tiny.params(tiny.model(family))

    def probed(scores):
        return (scores * np.random.default_rng(1).normal(size=scores.shape).astype(np.float32)).sum()

    def gradient(**execution):
        model = tiny.model(family, **execution)
        return jax.jit(jax.value_and_grad(lambda p: sum(map(probed, scores(model, p)))))(params)

    expected = gradient()
    remats = REMAT if family == "gpt2" else ("none", "full")
    for execution in [{"unroll": True}, *({"remat": remat} for remat in remats if remat != "none")]:
        close(gradient(**execution), expected, 3e-5)  # sums of hundreds of terms that cancel


def scores(model, params):
    """Of every head of every part."""
    heads = [head for part, own in model.parts(params) for head in part(own, inputs_for(part)).heads.values()]
    return [head.logits() if isinstance(head, Readout) else head for head in heads]


def close(tree, expected, tolerance):
    """Each leaf within `tolerance` of the largest value of its like."""
    for got, want in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(1, float(np.abs(want).max())))


def test_remat_computes_more_and_keeps_less():
    def memory(remat):
        model = tiny.model("gpt2", num_layers=8, remat=remat)
        gradient = jax.grad(lambda p: model(p, INPUTS).heads["lm"].logits().sum())
        compiled = jax.jit(gradient).lower(tiny.params(model)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory("full") < memory("dots") < memory("none")


@pytest.mark.parametrize("family", tiny.EACH_KIND)
def test_dropout_is_keyed_by_row_and_differs_by_layer_and_seed(family):
    if "dropout" not in tiny.SIZES[family]:
        pytest.skip(f"{family} has no dropout")
    model = tiny.model(family, dropout=0.3)
    params = tiny.params(model)

    def run(inputs, key):
        return np.asarray(tiny.call(model, params, inputs, jax.random.key(key)).hidden_BLD)

    inputs = inputs_for(model)
    both = run(inputs, 0)
    second = jax.tree.map(lambda x: x[1:], inputs)
    np.testing.assert_allclose(run(second, 0)[0], both[1], atol=1e-5)  # alone or beside another row
    assert np.abs(run(inputs, 1) - both).max() > 1e-2
    silent = np.asarray(tiny.call(model, params, inputs).hidden_BLD)
    assert np.abs(silent - both).max() > 1e-2
    np.testing.assert_array_equal(tiny.call(model.eval(), params, inputs, jax.random.key(0)).hidden_BLD, silent)


def test_layers_have_noise_of_their_own():
    from jaxlm.models.layers.stack import layer_numbers

    model = tiny.model("gpt2")
    stack = model.decoder[0]
    wide = replace(stack, pattern=stack.pattern * 3)
    first = layer_numbers(1, wide)[:, None] + np.arange(3)
    then = layer_numbers(1 + wide.num_layers(), stack)
    assert len({*np.ravel(first).tolist(), *then.tolist()}) == 3 * 2 + 2


@pytest.mark.parametrize("family", tiny.EACH_KIND)
def test_bfloat16_computes_in_bfloat16_and_scores_in_float32(family):
    model = tiny.model(family, dtype="bfloat16")
    params = tiny.params(model)
    out = model(params, inputs_for(model))
    assert out.hidden_BLD.dtype == jnp.bfloat16
    for ours, exact in zip(scores(model, params), scores(tiny.model(family), params), strict=True):
        assert ours.dtype == jnp.float32
        assert 0 < np.abs(ours - exact).max() < 0.1 * np.abs(exact).max()


def test_a_padded_table_scores_the_real_vocabulary_alone():
    model = tiny.model("gpt2")
    padded = replace(model, embed=replace(model.embed, table_multiple=64))
    assert padded.num_params() - model.num_params() == 3 * 32
    assert padded(tiny.params(padded), INPUTS).heads["lm"].logits().shape[-1] == tiny.VOCAB_SIZE
