"""Two updates of each optimizer against numpy: who decays, who is orthogonalised, who is clipped."""

import jax
import numpy as np
import optax
import pytest

from jaxlm.optim import OPTIMIZERS, AdamW, Constant, Muon, Optimizer
from jaxlm.optim.base import is_matrix

AXES = {
    "table": ("vocab", "embed"),
    "query": ("layers", "embed", "heads", "head_dim"),
    "out": ("layers", "heads", "head_dim", "embed"),
    "up": ("layers", "embed", "mlp"),
    "scale": ("layers", "embed"),  # a stacked norm scale: two dims, no matrix
    "query_bias": ("layers", "heads", "head_dim"),
    "up_bias": ("layers", "mlp"),
    "last_scale": ("embed",),
}
SIZE = {"vocab": 7, "embed": 6, "layers": 2, "heads": 2, "head_dim": 2, "mlp": 8}
MATRICES = {"table", "query", "out", "up"}
HIDDEN = {"query", "out", "up"}

RNG = np.random.default_rng(0)
draw = lambda: {name: RNG.normal(size=[SIZE[a] for a in axes]).astype(np.float32) for name, axes in AXES.items()}
PARAMS, GRADIENTS = draw(), [draw(), draw()]
RATE, DECAY, B1, B2, EPSILON = 0.01, 0.1, 0.9, 0.95, 1e-8
COMMON = {"learning_rate": RATE, "weight_decay": DECAY, "schedule": Constant(), "steps": 10, "b1": B1, "b2": B2, "epsilon": EPSILON}


def two_updates(optimizer: Optimizer):
    transformation = optimizer.build(AXES)
    params, state = PARAMS, transformation.init(PARAMS)
    for gradient in GRADIENTS:
        updates, state = jax.jit(transformation.update)(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


def adam(name, nesterov=False):
    """numpy's two updates of one leaf, without decay: the updates, times -1 / rate."""
    m = v = 0.0
    for t, gradient in enumerate((g[name].astype(np.float64) for g in GRADIENTS), start=1):
        m, v = B1 * m + (1 - B1) * gradient, B2 * v + (1 - B2) * gradient**2
        m_hat = m / (1 - B1**t)
        if nesterov:  # Dozat 2016: a look ahead along the mean
            m_hat = (B1 * m / (1 - B1 ** (t + 1))) + (1 - B1) * gradient / (1 - B1**t)
        yield m_hat / (np.sqrt(v / (1 - B2**t)) + EPSILON)


def test_adamw_is_the_formula_and_only_matrices_decay():
    got = two_updates(AdamW(**COMMON, clip_norm=None))
    for name in AXES:
        expected = PARAMS[name].astype(np.float64)
        for update in adam(name):
            expected = expected - RATE * (update + (DECAY * expected if name in MATRICES else 0))
        np.testing.assert_allclose(got[name], expected, atol=1e-6, err_msg=name)


def orthogonalised(matrix):
    """The quintic Newton-Schulz iteration of Muon, five times; singular values end near 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def as_matrix(name, array):
    """[in = embed, out] of one layer, and the way back."""
    axes = [axis for axis in AXES[name] if axis != "layers"]
    place = axes.index("embed")
    moved = np.moveaxis(array, place, 0)
    return moved.reshape(len(moved), -1), lambda m: np.moveaxis(m.reshape(moved.shape), 0, place)


def test_muon_orthogonalises_hidden_matrices_and_leaves_the_rest_to_adam():
    got = two_updates(Muon(**COMMON, adam_learning_rate=0.003, clip_norm=None))
    for name in AXES:
        expected = PARAMS[name].astype(np.float64)
        if name in HIDDEN:
            for layer in range(SIZE["layers"]):
                momentum = 0.0
                for t, gradient in enumerate(GRADIENTS, start=1):
                    g, back = as_matrix(name, gradient[name][layer].astype(np.float64))
                    momentum = 0.95 * momentum + 0.05 * g
                    ahead = 0.95 * momentum / (1 - 0.95 ** (t + 1)) + 0.05 * g / (1 - 0.95**t)
                    step = orthogonalised(ahead) * max(1, g.shape[1] / g.shape[0]) ** 0.5
                    assert np.linalg.svd(orthogonalised(ahead), compute_uv=False).min() > 0.5
                    expected[layer] -= RATE * (back(step) + DECAY * expected[layer])
        else:
            for update in adam(name, nesterov=True):
                expected = expected - 0.003 * update
        np.testing.assert_allclose(got[name], expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_large_gradients_are_scaled_down_to_the_norm_and_small_ones_are_left(cls):
    norm = optax.tree.norm(GRADIENTS[0])
    one = lambda gradient, clip: jax.jit(cls(**{**COMMON, "epsilon": 1.0}, clip_norm=clip).build(AXES).update)(
        gradient, cls(**COMMON, clip_norm=clip).build(AXES).init(PARAMS), PARAMS
    )[0]
    scaled = jax.tree.map(lambda g: g * (0.5 / norm), GRADIENTS[0])
    close = lambda a, b: jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-8), a, b)
    close(one(GRADIENTS[0], 0.5), one(scaled, None))
    close(one(scaled, 0.6), one(scaled, None))
    with pytest.raises(AssertionError):
        close(one(GRADIENTS[0], None), one(scaled, None))


@pytest.mark.parametrize("name", AXES)
def test_what_is_a_matrix(name):
    assert is_matrix(AXES[name]) == (name in MATRICES)


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_a_rate_follows_the_schedule_update_by_update(cls):
    """The first update of a warm-up of 4 is a quarter of the peak's."""
    slow = {**COMMON, "weight_decay": 0.0, "warmup_steps": 4}
    updates = [
        jax.jit(cls(**settings).build(AXES).update)(GRADIENTS[0], cls(**settings).build(AXES).init(PARAMS), PARAMS)[0]
        for settings in (slow, {**slow, "warmup_steps": 0})
    ]
    for name in AXES:
        np.testing.assert_allclose(4 * updates[0][name], updates[1][name], rtol=1e-4, atol=1e-8, err_msg=name)
