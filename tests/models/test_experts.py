"""Experts against a loop over tokens in numpy, and what their router is taught."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError
from jaxlm.laws.execution import loss_and_gradient
from jaxlm.laws.subject import Subject, spread
from jaxlm.models.layers import Context, Experts
from jaxlm.objectives import CausalLM
from jaxlm.optim.base import is_matrix, map_axes
from jaxlm.optim.muon import _dimensions
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.parallel.shardings import axis_names

B, L, D = 3, 7, 6
SEGMENTS_BL = np.array([[1] * L, [1] * 3 + [2] * 2 + [0] * 2, [0] * L], np.int32)
X_BLD = np.random.default_rng(0).normal(size=(B, L, D)).astype(np.float32)


def experts(**settings) -> Experts:
    return Experts(**{"num_experts": 5, "mlp_dim": 8, "stddev": 0.5, "output_stddev": 0.5, **settings})


def params_of(layer):
    import flax.linen as nn

    return nn.unbox(layer.build("experts").init(jax.random.key(0), X_BLD, context())["params"])


def context(training=False):
    noise_B = jax.random.split(jax.random.key(1), B) if training else None
    positions_BL = np.tile(np.arange(L, dtype=np.int32), (B, 1))
    return Context(positions_BL, SEGMENTS_BL, positions_BL, SEGMENTS_BL, None, None, noise_B, None, None, "plain")


def apply(layer, params, x_BLD=X_BLD, training=False):
    """What the layer gives, and its losses of each row."""
    y_BLD, variables = layer.build("experts").apply({"params": params}, x_BLD, context(training), mutable=["aux"])
    return y_BLD, variables.get("aux", {})


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def silu(x):
    return x / (1 + np.exp(-x))


def in_a_loop(layer, params, x_BLD=X_BLD, seats=None):
    """The outputs, and by row how often an expert is taken, its mean probability, and the mean squared logsumexp."""
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    y_BLD = np.zeros(x_BLD.shape)
    taken_BE, probability_BE, z_B = np.zeros((B, layer.num_experts)), np.zeros((B, layer.num_experts)), np.zeros(B)
    for b in range(B):
        num_tokens = max((SEGMENTS_BL[b] > 0).sum(), 1)
        sitting = np.zeros(layer.num_experts, int)
        for i in range(L):
            logits_E = x_BLD[b, i].astype(float) @ p["router"]
            chosen = np.argsort(-logits_E, kind="stable")[: layer.top_k]
            shares = softmax(logits_E[chosen]) if layer.share == "chosen" else softmax(logits_E)[chosen]
            real = SEGMENTS_BL[b, i] > 0
            for e, share in zip(chosen, shares, strict=True):
                taken_BE[b, e] += real / num_tokens
                if seats is not None:
                    sitting[e] += real
                    if not real or sitting[e] > seats:
                        continue
                h_F = x_BLD[b, i] @ p["up"][e]
                h_F = silu(x_BLD[b, i] @ p["gate"][e]) * h_F if layer.gated else silu(h_F)
                y_BLD[b, i] += share * (p["down"][e] @ h_F)
            probability_BE[b] += real * softmax(logits_E) / num_tokens
            z_B[b] += real * np.log(np.exp(logits_E).sum()) ** 2 / num_tokens
    return y_BLD, taken_BE, probability_BE, z_B


@pytest.mark.parametrize("kernel", ["plain", "grouped"])
@pytest.mark.parametrize("settings", [{}, {"top_k": 1, "share": "all", "gated": False}, {"top_k": 5}])
def test_each_token_is_given_its_experts(kernel, settings):
    layer = experts(kernel=kernel, **settings)
    params = params_of(layer)
    np.testing.assert_allclose(apply(layer, params)[0], in_a_loop(layer, params)[0], atol=1e-4)


def test_both_kernels_have_the_same_gradient():
    params = params_of(experts())
    probe = np.random.default_rng(1).normal(size=(B, L, D)).astype(np.float32)

    def gradient(kernel):
        return jax.jit(jax.grad(lambda p, x: (apply(experts(kernel=kernel), p, x)[0] * probe).sum(), (0, 1)))(params, X_BLD)

    assert spread(gradient("plain"), gradient("grouped")) < 1e-5


def test_router_losses_are_means_over_each_rows_tokens():
    layer = experts(balance=0.5, router_z=0.25)
    params = params_of(layer)
    aux = apply(layer, params)[1]
    _, taken_BE, probability_BE, z_B = in_a_loop(layer, params)
    np.testing.assert_allclose(aux["router_balance"], 0.5 * 5 * (taken_BE * probability_BE).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(aux["router_z"], 0.25 * z_B, rtol=1e-4)
    assert float(aux["router_balance"][2]) == float(aux["router_z"][2]) == 0  # a row without tokens
    assert not apply(experts(balance=0, router_z=0), params)[1]


def test_an_even_router_has_a_balance_of_top_k_and_one_that_always_takes_the_same_a_higher_one():
    layer = experts(balance=1.0)
    params = params_of(layer)
    even = {**params, "router": jnp.zeros((D, 5))}
    np.testing.assert_allclose(apply(layer, even)[1]["router_balance"][:2], 2, rtol=1e-6)
    same = {**params, "router": jnp.zeros((D, 5)).at[:, :2].set(9.0)}
    np.testing.assert_allclose(apply(layer, same, np.abs(X_BLD) + 1)[1]["router_balance"][:2], 5, rtol=1e-3)


def test_the_router_learns_from_what_its_choices_are_worth():
    for settings in ({}, {"top_k": 1, "share": "all"}):
        layer = experts(balance=0, router_z=0, **settings)
        gradient = jax.grad(lambda params, layer=layer: (apply(layer, params)[0] ** 2).sum())(params_of(layer))
        assert float(jnp.abs(gradient["router"]).max()) > 1e-3


def test_tokens_that_find_no_seat_are_passed_by_in_training_alone():
    layer = experts(capacity_factor=0.8)
    assert layer.num_seats(L) == 3  # 0.8 x 7 x 2 / 5 = 2.24
    params = params_of(layer)
    expected = in_a_loop(layer, params, seats=3)[0]
    without = in_a_loop(layer, params)[0]
    assert (np.abs(expected - without).max(-1)[0] > 1e-3).any(), "somebody is passed by"
    np.testing.assert_allclose(apply(layer, params, training=True)[0], expected, atol=1e-4)
    np.testing.assert_allclose(apply(layer, params)[0], without, atol=1e-4)


def test_a_seat_does_not_depend_on_later_tokens_or_other_rows():
    layer = experts(capacity_factor=0.5)
    params = params_of(layer)
    changed = X_BLD.copy()
    changed[0, 4:], changed[1] = -changed[0, 4:], 0
    before, after = (np.asarray(apply(layer, params, x, training=True)[0]) for x in (X_BLD, changed))
    np.testing.assert_allclose(after[0, :4], before[0, :4], atol=1e-6)
    assert np.abs(after[0, 4:] - before[0, 4:]).max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"top_k": 6}, "experts.top_k=6 is more than num_experts=5; choose at most as many"),
        ({"top_k": 0}, "experts.top_k=0 must be at least 1"),
        ({"top_k": 1}, "experts.top_k=1 with share='chosen': the one chosen has a share of 1 whatever the router says, so that"),
        ({"capacity_factor": 0.0}, "experts.capacity_factor=0.0 must be above 0"),
        ({"balance": -1.0}, "experts.balance=-1.0 must be at least 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ConfigError) as error:
        experts(**settings)
    assert words in str(error.value)


def test_every_expert_is_a_matrix_of_its_own_to_the_optimizers():
    axes = axis_names(tiny.model("mixtral").abstract_params())["decoder_0"]["block_0"]["mlp"]
    assert axes["down"] == ("layers", "experts", "embed", "mlp")
    numbers = {name: _dimensions(names) for name, names in axes.items()}
    assert {name: (n.reduction_axis, n.output_axis) for name, n in numbers.items() if n} == dict.fromkeys(
        ("gate", "up", "down"), ((2,), (3,))
    )
    assert numbers["router"] is None  # as the output table, it follows Adam
    assert all(jax.tree.leaves(map_axes(is_matrix, axes)))  # and decays


def subject_of(how):
    windows = tuple((tiny.window(17, i, documents=1 + i % 3, padding=i % 4),) for i in range(16))
    model = tiny.model("mixtral", num_layers=1, capacity_factor=1.0 if how == "capacity" else None)
    (block,) = model.decoder[0].pattern
    block = replace(block, mlp=replace(block.mlp, kernel="grouped" if how == "grouped" else "plain"))
    model = replace(model, decoder=(replace(model.decoder[0], pattern=(block,)),))
    subject = Subject(model, CausalLM(), tiny.vocab(), 16, windows)
    subject.__dict__["params"] = tiny.params(model)  # large enough for experts to have a say
    return subject


@cache
def on_one_device(how):
    return loss_and_gradient(subject_of(how))


@pytest.mark.parametrize(
    ("how", "mesh", "num_microbatches"),
    [
        ("plain", None, 4),
        ("plain", MeshConfig(data=8), 1),
        ("plain", MeshConfig(data=2, tensor=2, expert=2), 1),
        ("grouped", MeshConfig(data=2, tensor=2, expert=2), 1),
        ("capacity", MeshConfig(data=1, fsdp=2, expert=4), 2),
    ],
)
def test_routing_and_its_losses_are_the_same_in_any_split(how, mesh, num_microbatches):
    partitioner = mesh and Partitioner.of(mesh, jax.devices()[:8])
    loss, gradient = loss_and_gradient(subject_of(how), partitioner=partitioner, num_microbatches=num_microbatches)
    expected, expected_gradient = on_one_device(how)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for tree in (lambda g: g, lambda g: g["decoder_0"]["block_0"]["mlp"], lambda g: g["decoder_0"]["block_0"]["mlp"]["router"]):
        assert spread(tree(expected_gradient), tree(gradient)) < 1e-4


def test_grouped_is_plain_in_a_whole_step_and_a_capacity_is_not():
    plain, grouped, seated = (float(on_one_device(how)[0]) for how in ("plain", "grouped", "capacity"))
    assert grouped == pytest.approx(plain, rel=1e-5)
    assert abs(seated / plain - 1) > 1e-4
