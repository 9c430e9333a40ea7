"""One step of each optimizer against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from jaxlm.optim import AdamW, Constant, Muon
from jaxlm.optim.base import is_matrix, map_axes
from jaxlm.parallel.shardings import axis_names

AXES = {
    "kernel": ("layers", "embed", "heads", "head_dim"),
    "bias": ("layers", "heads", "head_dim"),
    "scale": ("layers", "embed"),
    "table": ("vocab", "embed"),
}
SHAPES = {"kernel": (2, 6, 2, 3), "bias": (2, 2, 3), "scale": (2, 6), "table": (5, 6)}


def trees(seed=0):
    rng = np.random.default_rng(seed)

    def make():
        return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}

    return make(), make()


def first_update(optimizer, params, grads):
    transformation = optimizer.build(AXES)
    updates, _ = jax.jit(transformation.update)(grads, transformation.init(params), params)
    return updates


def test_adamw_is_the_papers_step_and_decays_matrices_alone():
    params, grads = trees()
    optimizer = AdamW(learning_rate=0.1, schedule=Constant(), steps=10, weight_decay=0.5, clip_norm=None)
    updates = first_update(optimizer, params, grads)
    for name in SHAPES:
        step = grads[name] / (np.abs(grads[name]) + 1e-8)  # the first m' / sqrt(v')
        decay = 0.5 * params[name] if name in ("kernel", "table") else 0
        np.testing.assert_allclose(updates[name], -0.1 * (step + decay), rtol=1e-4, atol=1e-6)


def test_gradients_of_a_large_norm_are_scaled_down():
    params, grads = trees()
    norm = float(optax.tree.norm(grads))

    def optimizer(clip):
        return AdamW(learning_rate=1.0, schedule=Constant(), steps=1, weight_decay=0, clip_norm=clip, epsilon=1e3)

    whole, clipped = (first_update(optimizer(clip), params, grads) for clip in (None, norm / 4))
    np.testing.assert_allclose(np.asarray(clipped["table"]) * 4, whole["table"], rtol=2e-2)


def test_muon_orthogonalises_each_layers_matrix_and_leaves_the_rest_to_adam():
    params, grads = trees()
    optimizer = Muon(learning_rate=1.0, adam_learning_rate=0.1, schedule=Constant(), steps=10, weight_decay=0, clip_norm=None)
    updates = first_update(optimizer, params, grads)
    for layer in np.asarray(updates["kernel"]).reshape(2, 6, 6):
        values = np.linalg.svd(layer, compute_uv=False)
        assert values.min() > 0.5
        assert values.max() < 1.5
    for name in ("bias", "scale", "table"):  # Nesterov's first step of Adam: the sign, all of one size
        sizes = np.abs(np.asarray(updates[name]))
        assert np.ptp(sizes) < 1e-3 * sizes.max()
        assert (np.sign(updates[name]) == -np.sign(grads[name])).all()
    both = first_update(optimizer, params, {**grads, "kernel": _with_another_layer_one(grads["kernel"])})
    np.testing.assert_allclose(both["kernel"][0], updates["kernel"][0], atol=1e-5)  # layers do not mix


def _with_another_layer_one(kernel):
    changed = kernel.copy()
    changed[1] *= -3
    return changed


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_of_every_family_matrices_decay_and_nothing_else(family):
    axes = axis_names(tiny.model(family).abstract_params())
    decays = {jax.tree_util.keystr(path): value for path, value in jax.tree_util.tree_leaves_with_path(map_axes(is_matrix, axes))}
    for name, value in decays.items():
        assert value == (not any(word in name for word in ("bias", "scale"))), name
    assert any("norm" in name and not value for name, value in decays.items())
    assert jnp.sum(jnp.array(list(decays.values()))) >= 6
