"""Every kernel against the plain one, feature by feature: outputs and gradients; and the plain one against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.kernels.attention import KERNELS, attend, blocked, plain

B, L, H, K = 2, 10, 4, 8
OTHERS = {
    "auto": attend,
    "blocked": lambda *args, **kwargs: attend(*args, kernel="blocked", drop=None, **kwargs),
    "blocked by 4": lambda *args, **kwargs: blocked.attend(*args, block=4, **kwargs),  # 10 is no multiple of 4
    "blocked by 5": lambda *args, **kwargs: blocked.attend(*args, block=5, **kwargs),
}


def arrays(num_kv_heads=H, num_keys=L):
    rng = np.random.default_rng(0)
    shapes = (B, L, H, K), (B, num_keys, num_kv_heads, K), (B, num_keys, num_kv_heads, K)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


ONE = np.broadcast_to(np.arange(L, dtype=np.int32), (B, L)), np.ones((B, L), np.int32)
PACKED = (
    np.array([[*range(6), *range(4)], [*range(7), 0, 0, 0]], np.int32),
    np.array([[1] * 6 + [2] * 4, [1] * 7 + [0] * 3], np.int32),  # the last three of the second row are padding
)
PREFIX = np.array([[True] * 3 + [False] * 3 + [True] + [False] * 3, [True] * 5 + [False] * 4 + [True]])
BIAS = np.random.default_rng(2).normal(size=(B, H, L, L)).astype(np.float32)
SETTINGS = {
    "window": {"window": 3},
    "prefix": {"prefix_BS": PREFIX},
    "prefix and window": {"prefix_BS": PREFIX, "window": 3},
    "soft cap": {"soft_cap": 0.7},
    "scale": {"scale": 0.9},
    "scale and soft cap": {"scale": 0.9, "soft_cap": 0.7},
    "bias": {"bias_BHLS": BIAS},
    "bias, scale and soft cap": {"bias_BHLS": BIAS, "scale": 0.9, "soft_cap": 0.7},
}


def cases():
    """name -> (arrays, positions, segments, settings)"""
    for causal in (True, False):
        way = "causal" if causal else "both ways"
        for name, (positions, segments) in {"one document": ONE, "packed, padded": PACKED}.items():
            for heads in (H, 2, 1):
                yield f"{way}, {name}, {heads} kv heads", (arrays(heads), (positions,) * 2, (segments,) * 2, {"causal": causal})
        for name, settings in SETTINGS.items():
            yield f"{way}, {name}", (arrays(2), PACKED[:1] * 2, PACKED[1:] * 2, {"causal": causal, **settings})
    # a cache of 16 places, of which 13 are filled: queries are the last 10 of them
    keys = np.arange(16, dtype=np.int32)
    positions = ONE[0] + 3, np.broadcast_to(np.where(keys < 13, keys, 0), (B, 16))
    segments = ONE[1], np.broadcast_to((keys < 13).astype(np.int32), (B, 16))
    yield "keys of a cache", (arrays(2, 16), positions, segments, {"causal": True})
    yield "keys of a cache, window", (arrays(2, 16), positions, segments, {"causal": True, "window": 4})


CASES = dict(cases())


@pytest.mark.parametrize("case", CASES)
def test_kernels_agree_with_the_plain_one(case):
    qkv, positions, segments, settings = CASES[case]
    probe = np.random.default_rng(1).normal(size=(B, L, H, K)).astype(np.float32)
    probe *= (segments[0] > 0)[..., None, None]  # what padding gets is nobody's business

    @jax.jit
    def all_kernels(*qkv):
        def outcome(function):
            call = lambda *qkv: function(*qkv, positions=positions, segments=segments, **settings)
            score = lambda *qkv: (call(*qkv) * probe).sum()
            return call(*qkv), jax.grad(score, argnums=(0, 1, 2))(*qkv)

        auto = lambda *args, **kwargs: attend(*args, drop=None, **kwargs)
        return {"plain": outcome(plain.attend), **{n: outcome(auto if n == "auto" else f) for n, f in OTHERS.items()}}

    outcomes = all_kernels(*qkv)
    real = segments[0] > 0
    expected, gradients = outcomes.pop("plain")
    assert np.abs(gradients[0]).max() > 1e-2
    for name, (got, got_gradients) in outcomes.items():
        np.testing.assert_allclose(got[real], expected[real], atol=1e-5, err_msg=name)
        assert np.isfinite(got).all(), name
        for ours, theirs in zip(got_gradients, gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=name)


def sees(position, key_positions_S, b, settings):
    """Which keys the query at this position of row b sees, were they all of its segment."""
    seen_S = np.ones(len(key_positions_S), bool)
    for j, key_position in enumerate(key_positions_S):
        if settings["causal"] and key_position > position:
            seen_S[j] = settings["prefix_BS"][b, j] if "prefix_BS" in settings else False
        if "window" in settings and abs(position - key_position) >= settings["window"]:
            seen_S[j] = False
    return seen_S


@pytest.mark.parametrize("case", CASES)
def test_the_plain_one_is_the_formula(case):
    (q, k, v), positions, segments, settings = CASES[case]
    got = plain.attend(q, k, v, positions=positions, segments=segments, **settings)
    repeats = H // k.shape[2]
    for b in range(B):
        for h in range(H):
            for i in np.flatnonzero(segments[0][b]):
                seen = (segments[1][b] == segments[0][b, i]) & sees(positions[0][b, i], positions[1][b], b, settings)
                scores = k[b, seen, h // repeats].astype(np.float64) @ q[b, i, h] * settings.get("scale", K**-0.5)
                if "bias_BHLS" in settings:
                    scores = scores + settings["bias_BHLS"][b, h, i, seen]
                if cap := settings.get("soft_cap"):
                    scores = cap * np.tanh(scores / cap)
                weights = np.exp(scores) / np.exp(scores).sum()
                np.testing.assert_allclose(got[b, i, h], weights @ v[b, seen, h // repeats], atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_that_of_the_formula(case):
    (q, k, v), positions, segments, settings = CASES[case]
    probe = np.random.default_rng(1).normal(size=q.shape) * (segments[0] > 0)[..., None, None]
    rules = {name: settings.get(name) for name in ("causal", "window", "prefix_BS")}
    seen = plain.visible(positions, segments, **rules)[:, None]

    def formula(q, k, v):
        k, v = (jnp.repeat(x, H // x.shape[2], axis=2) for x in (k, v))
        scores = jnp.einsum("blhk,bshk->bhls", q, k) * settings.get("scale", K**-0.5)
        scores = scores + settings.get("bias_BHLS", 0)
        cap = settings.get("soft_cap")
        scores = jnp.where(seen, cap * jnp.tanh(scores / cap) if cap else scores, -1e30)
        return (jnp.einsum("bhls,bshk->blhk", jax.nn.softmax(scores), v) * probe).sum()

    ours = lambda *qkv: (plain.attend(*qkv, positions=positions, segments=segments, **settings) * probe).sum()
    for got, expected in zip(*(jax.grad(f, argnums=(0, 1, 2))(q, k, v) for f in (ours, formula)), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_table_names_kernels_that_are_all_tested():
    assert set(KERNELS) == {"plain", "blocked"}, "a new kernel needs its line in OTHERS"


def test_weights_are_dropped_by_the_plain_one():
    qkv = arrays()
    zeroed = attend(*qkv, positions=ONE[:1] * 2, segments=ONE[1:] * 2, causal=True, drop=jnp.zeros_like, kernel="plain")
    assert not np.asarray(zeroed).any()
    np.testing.assert_array_equal(
        attend(*qkv, positions=ONE[:1] * 2, segments=ONE[1:] * 2, causal=True, drop=jnp.zeros_like), zeroed
    )


def test_blocked_says_that_it_cannot_drop():
    with pytest.raises(ConfigError) as error:
        attend(*arrays(), positions=ONE[:1] * 2, segments=ONE[1:] * 2, causal=True, drop=jnp.zeros_like, kernel="blocked")
    assert str(error.value) == (
        "model.kernel='blocked' cannot drop attention weights; set the attention's dropout to 0 or kernel to 'plain'"
    )


def test_an_unknown_kernel():
    with pytest.raises(ConfigError) as error:
        attend(*arrays(), positions=ONE[:1] * 2, segments=ONE[1:] * 2, causal=True, drop=None, kernel="blockd")
    assert str(error.value) == "model.kernel: 'blockd' is unknown. Did you mean 'blocked'?"


def test_blocked_holds_less_of_long_text():
    shape = jax.ShapeDtypeStruct((1, 2048, 1, 8), jnp.float32)
    marks = np.zeros((1, 2048), np.int32), np.ones((1, 2048), np.int32)

    def held(kernel):
        call = lambda q, k, v: attend(
            q, k, v, positions=marks[:1] * 2, segments=marks[1:] * 2, causal=True, drop=None, kernel=kernel
        )
        step = jax.jit(jax.grad(lambda *qkv: call(*qkv).sum(), argnums=(0, 1, 2)))
        return step.lower(shape, shape, shape).compile().memory_analysis().temp_size_in_bytes

    assert held("blocked") < 0.5 * held("plain")
    assert held("auto") == held("blocked")
