"""What attention's settings and a prefix of the inputs do to a whole model, with a cache and without."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Inputs

L = 10
TOKENS_BL = np.random.default_rng(0).integers(7, tiny.VOCAB_SIZE, (2, L)).astype(np.int32)
POSITIONS_BL = np.broadcast_to(np.arange(L, dtype=np.int32), (2, L))
PREFIX_BL = np.arange(L) < np.array([[4], [2]])
INPUTS = Inputs(TOKENS_BL, POSITIONS_BL, np.ones((2, L), np.int32), prefix_BL=PREFIX_BL)


def with_attention(num_layers=2, **settings):
    model = tiny.model("gpt2", num_layers=num_layers)
    (stack,) = model.decoder
    (block,) = stack.pattern
    block = replace(block, attention=replace(block.attention, **settings))
    return replace(model, decoder=(replace(stack, pattern=(block,)),))


def hidden(model, inputs, params):
    return np.asarray(tiny.call(model, params, inputs).hidden_BLD)


def changed_places(model, place):
    """Where the hidden states move when the token at `place` does."""
    params = tiny.params(model)
    other_BL = TOKENS_BL.copy()
    other_BL[:, place] = (other_BL[:, place] + 1) % tiny.VOCAB_SIZE
    moved = np.abs(hidden(model, INPUTS._replace(tokens_BL=other_BL), params) - hidden(model, INPUTS, params))
    return (moved.max(-1) > 0).tolist()


def test_all_of_a_segment_sees_its_prefix_and_of_the_rest_what_came_before():
    everywhere, after = [True] * L, lambda place: [i >= place for i in range(L)]
    assert changed_places(with_attention(), 3) == [everywhere, after(3)]
    assert changed_places(with_attention(), 1) == [everywhere, everywhere]
    assert changed_places(with_attention(), 6) == [after(6), after(6)]


def test_a_window_of_one_layer_is_seen_by_as_many_tokens():
    model = with_attention(num_layers=1, window=3)
    assert changed_places(model, 6) == [[i in (6, 7, 8) for i in range(L)]] * 2


@pytest.mark.parametrize("settings", [{}, {"window": 3}, {"soft_cap": 0.5, "scale": 1.0}], ids=["plain", "window", "capped"])
def test_a_prefix_and_its_continuation_with_a_cache_are_those_without(settings):
    """The prefix in one call, then the rest a token at a time."""
    model = with_attention(**settings)
    params = tiny.params(model)
    expected = hidden(model, INPUTS, params)
    assert np.abs(hidden(with_attention(), INPUTS, params) - expected).max() > 1e-3 or not settings
    cut = 4
    out = model(params, Inputs(*(x if x is None else x[:, :cut] for x in INPUTS)), cache=model.init_cache(2, L + 3))
    found = [out.hidden_BLD]
    for i in range(cut, L):
        step = Inputs(TOKENS_BL[:, i : i + 1], POSITIONS_BL[:, i : i + 1], np.ones((2, 1), np.int32))
        out = model(params, step, cache=out.cache)
        found.append(out.hidden_BLD)
    np.testing.assert_allclose(jnp.concatenate(found, axis=1), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, r"^model.decoder.0.pattern.0.attention.window=0 must be at least 1$"),
        ({"soft_cap": 0.0}, r"^model.decoder.0.pattern.0.attention.soft_cap=0.0 must be above 0$"),
        ({"scale": -1.0}, r"^model.decoder.0.pattern.0.attention.scale=-1.0 must be above 0$"),
    ],
)
def test_settings_out_of_bounds(settings, message):
    with pytest.raises(ConfigError, match=message):
        with_attention(**settings).check()
