"""An encoder beside a decoder: T5 against the formulas of its paper in numpy, noise, caches, and settings that do not fit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Inputs
from jaxlm.core.noise import row_keys
from jaxlm.models.layers.relative_bias import buckets

L, S = 16, 6
RNG = np.random.default_rng(0)
SEGMENTS_L = np.array([1] * 11 + [2] * 2 + [3] * 2 + [0], np.int32)  # the first has distances that share buckets
ENCODER_SEGMENTS_S = np.array([1, 1, 2, 2, 2, 0], np.int32)  # nothing for the decoder's third document
ENCODER = Inputs(RNG.integers(7, 61, (1, S)), np.array([[0, 1, 0, 1, 2, 0]]), ENCODER_SEGMENTS_S[None])
POSITIONS_L = np.array([*range(11), 0, 1, 0, 1, 0], np.int32)
INPUTS = Inputs(RNG.integers(7, 61, (1, L)), POSITIONS_L[None], SEGMENTS_L[None], np.zeros(1, np.int32), encoder=ENCODER)
REAL_L = SEGMENTS_L > 0


def norm(x, scale):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def attention(x, source, p, seen, bias=0.0):
    """No scale, no biases; a query that sees nothing gets zeros."""
    total = np.zeros_like(x)
    for h in range(p["query"].shape[1]):
        scores = (x @ p["query"][:, h]) @ (source @ p["key"][:, h]).T + (bias[h] if np.ndim(bias) else bias)
        weights = np.where(seen, np.exp(scores - scores.max()), 0)
        weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-30)
        total += weights @ (source @ p["value"][:, h]) @ p["out"][h]
    return total


def feed_forward(x, p):
    return np.maximum(x @ p["up"], 0) @ p["down"].T


def side_bias(table, positions, causal):
    ahead = positions[None, :] - positions[:, None]
    return np.moveaxis(table[np.asarray(buckets(ahead, num_buckets=32, max_distance=128, causal=causal))], -1, 0)


def t5_in_numpy(params, inputs):
    """[L, V] logits of one row, from arXiv:1910.10683, section 2.1, and what the release adds to it."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    segments, encoder_segments = inputs.segments_BL[0], inputs.encoder.segments_BL[0]

    def layers(side):
        stacked = p[f"{side}_0"]["block_0"]
        return [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(len(stacked["attention_norm"]["scale"]))]

    y = p["embed"]["table"][inputs.encoder.tokens_BL[0]]
    bias = side_bias(p["encoder_relative_bias"]["table"], inputs.encoder.positions_BL[0], causal=False)
    seen = (encoder_segments[:, None] == encoder_segments) & (encoder_segments > 0)
    for layer in layers("encoder"):
        given = norm(y, layer["attention_norm"]["scale"])
        y = y + attention(given, given, layer["attention"], seen, bias)
        y = y + feed_forward(norm(y, layer["mlp_norm"]["scale"]), layer["mlp"])
    y = norm(y, p["encoder_norm"]["scale"])

    x = p["embed"]["table"][inputs.tokens_BL[0]]
    bias = side_bias(p["decoder_relative_bias"]["table"], inputs.positions_BL[0], causal=True)
    seen = (segments[:, None] == segments) & (segments > 0) & np.tri(len(segments), dtype=bool)
    read = (segments[:, None] == encoder_segments) & (encoder_segments > 0)
    for layer in layers("decoder"):
        given = norm(x, layer["attention_norm"]["scale"])
        x = x + attention(given, given, layer["attention"], seen, bias)
        x = x + attention(norm(x, layer["cross_attention_norm"]["scale"]), y, layer["cross_attention"], read)
        x = x + feed_forward(norm(x, layer["mlp_norm"]["scale"]), layer["mlp"])
    x = norm(x, p["norm"]["scale"])
    return x @ p["embed"]["table"].T / np.sqrt(x.shape[-1])


def test_t5_is_its_formulas():
    model = tiny.model("t5")
    params = tiny.params(model)
    found = np.asarray(tiny.call(model, params, INPUTS).heads["lm"].logits())[0]
    np.testing.assert_allclose(found[REAL_L], t5_in_numpy(params, INPUTS)[REAL_L], atol=2e-4)


def test_encoder_and_decoder_draw_noise_of_their_own():
    model = tiny.model("t5", num_layers=1, dropout=0.5)
    same = INPUTS._replace(encoder=INPUTS._replace(encoder=None))
    embedded = lambda module, _: module.name == "embed"
    noise_B = row_keys(jax.random.key(0), np.zeros(1, np.int32))
    variables = {"params": tiny.params(model)}
    _, kept = model.build().apply(variables, same, None, noise_B, capture_intermediates=embedded, mutable=["intermediates"])
    (encoder_BLD, _), (decoder_BLD, _) = kept["intermediates"]["embed"]["__call__"]
    assert 0.3 < np.mean(np.asarray(encoder_BLD) == 0) < 0.7
    assert ((np.asarray(encoder_BLD) == 0) != (np.asarray(decoder_BLD) == 0)).mean() > 0.3


@pytest.mark.parametrize("model", [tiny.model("t5", num_layers=1), tiny.model("modern", num_layers=1, encoder_layers=1)])
def test_a_cache_that_has_room_for_more_of_the_encoder_gives_the_same(model):
    """The encoder's text in the first call alone, then a token at a time, where segments are packed."""
    params = tiny.params(model)
    expected_LD = np.asarray(tiny.call(model, params, INPUTS).hidden_BLD)[0]
    call = jax.jit(lambda inputs, cache: model(params, inputs, cache=cache))
    piece = lambda i, j: Inputs(*(x[:, i:j] for x in INPUTS[:3]))
    out = call(piece(0, 2)._replace(encoder=ENCODER), model.init_cache(1, L + 2, S + 3))
    found = [out.hidden_BLD]
    for i in range(2, L):
        out = call(piece(i, i + 1), out.cache)
        found.append(out.hidden_BLD)
    assert out.encoder_BSD is None
    np.testing.assert_allclose(jnp.concatenate(found, axis=1)[0][REAL_L], expected_LD[REAL_L], atol=1e-5)


def test_a_cache_with_too_little_room_for_the_encoder():
    model = tiny.model("t5", num_layers=1)
    with pytest.raises(AssertionError, match="the cache has room for 4 of the encoder's 6 tokens"):
        jax.eval_shape(lambda: model(tiny.params(model), INPUTS, cache=model.init_cache(1, L, 4)))


def changed(side, **settings):
    """The model with another setting of this side's only block."""
    model = tiny.model("t5")
    (stack,) = getattr(model, side)
    return replace(model, **{side: (replace(stack, pattern=(replace(stack.pattern[0], **settings),)),)})


CROSS = tiny.model("t5").decoder[0].pattern[0].cross
CAUSAL = tiny.model("t5").decoder[0].pattern[0].attention


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            changed("encoder", attention=CAUSAL),
            "model.encoder.0.pattern.0.attention.causal=True: an encoder's tokens see both ways; set it to False",
        ),
        (changed("encoder", cross=CROSS), "model.encoder.0.pattern.0.cross is set, and an encoder has none to read; leave it out"),
        (
            changed("decoder", cross=None),
            "model.encoder has stacks and no block of model.decoder reads them; give one cross=CrossAttention(...)",
        ),
        (
            replace(tiny.model("t5"), encoder=()),
            "model.decoder.0.pattern.0.cross is set and model.encoder has no stacks to read; give it some, or leave cross out",
        ),
        (
            changed("decoder", attention=replace(CAUSAL, num_heads=2)),
            "model.relative_bias.num_heads=4 and model.decoder.0.pattern.0.attention.num_heads=2 must be the same",
        ),
        (
            changed("decoder", cross=replace(CROSS, dropout=1.0)),
            "model.decoder.0.pattern.0.cross.dropout=1.0 must be at least 0 and below 1",
        ),
        (
            replace(tiny.model("t5"), encoder=(replace(tiny.model("t5").encoder[0], repeats=0),)),
            "model.encoder.0.repeats=0 must be at least 1",
        ),
        (
            changed("decoder", mlp=replace(tiny.model("t5").decoder[0].pattern[0].mlp, dropout=1.5)),
            "model.decoder.0.pattern.0.mlp.dropout=1.5 must be at least 0 and below 1",
        ),
    ],
)
def test_sides_that_do_not_fit(model, message):
    with pytest.raises(ConfigError) as error:
        model.check()
    assert str(error.value) == message
