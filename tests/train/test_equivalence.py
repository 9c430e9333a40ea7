"""The same numbers however the work is divided: meshes, microbatches, scan or unrolled, padding rows."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core.sharding import constraints
from jaxlm.objectives import CausalLM, MaskedLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.placement import place
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.state import init_state, layout
from jaxlm.train.step import train_step

STEPS, BATCH = 20, 16
OBJECTIVES = {"causal": CausalLM(), "masked": MaskedLM()}


@cache
def losses(objective: str, mesh_sizes: tuple[int, int, int]) -> np.ndarray:
    return run(objective, mesh_sizes)


def run(objective_name, mesh_sizes, num_microbatches=1, **settings) -> np.ndarray:
    """The losses of 20 steps at a rate of 1e-3, float32 unless `settings` say otherwise."""
    objective = OBJECTIVES[objective_name]
    family = tiny.FAMILY_OF[type(objective)]
    model = tiny.model(family, **({"norm_place": "pre"} if family == "bert" else {}), **settings)
    partitioner = Partitioner.of(MeshConfig(*mesh_sizes), jax.devices()[: int(np.prod(mesh_sizes))])
    plan = layout(model, AdamW(learning_rate=1e-3, steps=STEPS), partitioner)
    state = init_state(model, plan, 0, partitioner)
    multiple = num_microbatches * partitioner.batch_shards
    padded = -(-BATCH // multiple) * multiple

    def step(state, batch):
        with constraints(partitioner):
            return train_step(
                state,
                batch,
                model=model,
                objective=objective,
                optimizer=plan.transformation,
                num_microbatches=num_microbatches,
            )

    jitted = jax.jit(step, out_shardings=(plan.shardings, None), donate_argnums=0)
    found = []
    for k in range(STEPS):
        batch = tiny.batch(objective, BATCH, first=k * BATCH, padded=padded)
        state, sums = jitted(state, place(batch, partitioner, padded))
        found.append(sums.metrics["loss"][0])
    assert int(state.position) == STEPS * BATCH
    assert int(state.step) == STEPS
    return np.array([float(loss) for loss in found])


CASES = [  # data, fsdp, tensor, microbatches, settings
    ((1, 1, 1), 4, {}),
    ((1, 1, 1), 1, {"unroll": True}),
    pytest.param((2, 1, 1), 1, {}, marks=pytest.mark.slow),
    pytest.param((1, 2, 1), 4, {}, marks=pytest.mark.slow),
    pytest.param((1, 1, 2), 1, {"unroll": True}, marks=pytest.mark.slow),
    ((3, 1, 1), 1, {}),
    ((1, 3, 1), 4, {}),
    ((1, 2, 2), 4, {"unroll": True}),
    ((8, 1, 1), 1, {}),
    ((2, 2, 2), 4, {}),
    ((1, 4, 2), 1, {"remat": "full"}),
]


@pytest.mark.parametrize(("mesh_sizes", "num_microbatches", "settings"), CASES)
def test_causal_losses_agree(mesh_sizes, num_microbatches, settings):
    np.testing.assert_allclose(run("causal", mesh_sizes, num_microbatches, **settings), losses("causal", (1, 1, 1)), rtol=1e-5)


@pytest.mark.parametrize(
    ("mesh_sizes", "num_microbatches"),
    [((3, 1, 1), 4), ((2, 2, 2), 1), pytest.param((1, 1, 4), 1, marks=pytest.mark.slow)],
)
def test_masked_losses_agree(mesh_sizes, num_microbatches):
    np.testing.assert_allclose(run("masked", mesh_sizes, num_microbatches), losses("masked", (1, 1, 1)), rtol=1e-5)


def test_bfloat16_losses_agree_to_their_precision():
    one = run("causal", (1, 1, 1), dtype="bfloat16")
    np.testing.assert_allclose(run("causal", (2, 2, 2), 4, dtype="bfloat16"), one, rtol=1e-2)
    assert 1e-6 < np.abs(one / losses("causal", (1, 1, 1)) - 1).max() < 1e-2  # it is another precision


def test_training_learns():
    found = losses("causal", (1, 1, 1))
    assert found[-1] < found[0] - 0.01


def test_a_mean_of_means_would_be_seen():
    """The weights of microbatches are uneven enough for a division by each one's own weight to move the loss."""
    batch = tiny.batch(CausalLM(), BATCH)
    weights = batch["weights"].sum(-1)
    nll = np.random.default_rng(0).uniform(2, 6, weights.shape)
    right = (nll * weights).sum() / weights.sum()
    parts = [(nll[i::4] * weights[i::4]).sum() / weights[i::4].sum() for i in range(4)]
    assert abs(np.mean(parts) / right - 1) > 1e-3


def test_dropout_does_not_depend_on_mesh_or_microbatches():
    one = run("causal", (1, 1, 1), dropout=0.2)
    np.testing.assert_allclose(run("causal", (3, 1, 1), 4, dropout=0.2), one, rtol=1e-5)
    assert np.abs(one - losses("causal", (1, 1, 1))).max() > 1e-3


def test_initial_parameters_are_the_same_on_every_mesh():
    def made(sizes):
        partitioner = Partitioner.of(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
        model = tiny.model("llama")
        return init_state(model, layout(model, AdamW(steps=1), partitioner), 3, partitioner).params

    one, eight = made((1, 1, 1)), made((2, 2, 2))
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True))


def test_a_batch_of_padding_alone_changes_no_loss_into_nan():
    objective, model = CausalLM(), tiny.model("gpt2")
    partitioner = Partitioner.of(MeshConfig(), jax.devices()[:1])
    plan = layout(model, AdamW(steps=10, weight_decay=0.0), partitioner)
    state = init_state(model, plan, 0, partitioner)
    empty = {k: jnp.asarray(v) for k, v in tiny.batch(objective, 0, padded=4).items()}
    step = partial(train_step, model=model, objective=objective, optimizer=plan.transformation, num_microbatches=1)
    after, sums = jax.jit(step)(state, empty)
    assert float(sums.metrics["loss"][0]) == 0
    assert int(after.position) == 0
    assert all(
        (np.asarray(a) == np.asarray(b)).all()
        for a, b in zip(jax.tree.leaves(after.params), jax.tree.leaves(state.params), strict=True)
    )
