import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.kernels.attention import KERNELS, attend
from jaxlm.kernels.attention.blocked import attend as blocked

B, L, S, H, G, K = 2, 7, 9, 4, 2, 8


def arguments():
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = (B, L, H, K), (B, S, G, K), (B, S, G, K)
    q, k, v = (jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True))
    key_segments = np.array([[1] * 4 + [2] * 5, [1] * 6 + [0] * 3])
    key_positions = np.array([[*range(4), *range(5)], [*range(6), 0, 0, 0]])
    return (q, k, v), {"positions": (key_positions[:, :L], key_positions), "segments": (key_segments[:, :L], key_segments)}


def by_hand(q, k, v, positions, segments, causal):
    """One query at a time, in numpy."""
    out = np.zeros(q.shape)
    for b in range(B):
        for i in range(L):
            for h in range(H):
                sees = (segments[1][b] == segments[0][b, i]) & (segments[1][b] > 0)
                if causal:
                    sees &= positions[1][b] <= positions[0][b, i]
                if not sees.any():
                    continue
                scores = k[b, sees, h // (H // G)] @ q[b, i, h] / np.sqrt(K)
                weights = np.exp(scores - scores.max())
                out[b, i, h] = weights / weights.sum() @ v[b, sees, h // (H // G)]
    return out


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_each_kernel_is_the_formula(kernel, causal):
    arrays, rest = arguments()
    got = attend(*arrays, **rest, causal=causal, drop=None, kernel=kernel)
    expected = by_hand(*map(np.asarray, arrays), **rest, causal=causal)
    real = rest["segments"][0] > 0
    np.testing.assert_allclose(np.asarray(got)[real], expected[real], atol=2e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("block", [3, 7, 16])
def test_blocks_of_any_size_give_the_gradient_of_the_plain_one(block, causal):
    arrays, rest = arguments()
    weight = jnp.asarray(rest["segments"][0] > 0, jnp.float32)[..., None, None]

    def loss(out):
        return (jnp.sin(out) * weight).sum()

    plain = jax.grad(lambda a: loss(attend(*a, **rest, causal=causal, drop=None, kernel="plain")))(arrays)
    ours = jax.grad(lambda a: loss(blocked(*a, **rest, causal=causal, block=block)))(arrays)
    for a, b in zip(plain, ours, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_a_kernel_that_cannot_drop_says_so():
    arrays, rest = arguments()
    with pytest.raises(
        ConfigError, match=r"model.kernel='blocked' cannot drop attention weights; set the attention's dropout to 0"
    ):
        attend(*arrays, **rest, causal=True, drop=lambda p: p, kernel="blocked")


def test_an_unknown_kernel_is_named_with_those_that_there_are():
    arrays, rest = arguments()
    with pytest.raises(ConfigError, match=r"model.kernel: 'flesh' is unknown"):
        attend(*arrays, **rest, causal=True, drop=None, kernel="flesh")
