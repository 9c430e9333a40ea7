from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest
import tiny
from jax.sharding import PartitionSpec as P

from jaxlm.core import ConfigError, UserError
from jaxlm.core.sharding import constrain, constraints
from jaxlm.models.families import FAMILIES
from jaxlm.objectives import CausalLM, MaskedLM
from jaxlm.optim import OPTIMIZERS, AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.mesh import AXES, axis_sizes, make_mesh
from jaxlm.parallel.placement import Ahead, local_rows, place
from jaxlm.parallel.rules import RULES, Partitioner
from jaxlm.parallel.shardings import axis_names, like_params
from jaxlm.train.state import layout
from jaxlm.train.step import train_step


def sizes(**given):
    return dict.fromkeys(AXES, 1) | given


def test_an_open_axis_takes_what_is_left():
    assert axis_sizes(MeshConfig(), 8) == sizes(data=8)
    assert axis_sizes(MeshConfig(data=2, fsdp=-1, tensor=2), 8) == sizes(data=2, fsdp=2, tensor=2)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            MeshConfig(data=3),
            "mesh.data=3, mesh.fsdp=1, mesh.tensor=1 need 3 devices and there are 8; choose axes whose product is 8, such as "
            "mesh.data=8, mesh.fsdp=1, mesh.tensor=1; mesh.data=4, mesh.fsdp=1, mesh.tensor=2; mesh.data=4, mesh.fsdp=2, "
            "mesh.tensor=1; or -1 for one of them$",
        ),
        (
            MeshConfig(data=-1, tensor=3),
            "need a multiple of 3 devices and there are 8; choose axes whose product is 8, such as mesh.data=2, mesh.fsdp=1, mesh.tensor=4;",
        ),
        (
            MeshConfig(data=1, expert=3),
            "mesh.data=1, mesh.fsdp=1, mesh.tensor=1, mesh.expert=3 need 3 devices and there are 8; choose axes whose product is 8, "
            "such as mesh.data=1, mesh.fsdp=1, mesh.tensor=1, mesh.expert=8;",
        ),
        (MeshConfig(data=-1, fsdp=-1), "mesh.data and mesh.fsdp are both -1; give all axes but one a number"),
        (MeshConfig(tensor=0), "mesh.tensor=0 must be at least 1, or -1 for what is left"),
    ],
)
def test_meshes_that_do_not_fit_are_refused_with_what_would(config, words):
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")):
        axis_sizes(config, 8)


def test_many_axes_on_many_devices_are_answered_as_few_are():
    """Looking at all sizes of all axes took hours."""
    every = MeshConfig(data=3, fsdp=3, tensor=3, expert=3, dcn_data=3, dcn_fsdp=3)
    with pytest.raises(ConfigError, match=r"need 729 devices and there are 5040; .* such as mesh\.data=\d+, mesh\.fsdp=\d+,"):
        axis_sizes(every, 5040)


def test_devices_that_are_not_here_are_said(monkeypatch):
    def fail():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", fail)
    with pytest.raises(
        ConfigError, match=r"JAX_PLATFORMS=cpu: no such device can be used here: none is found\. Look that .*'jaxlm\[gpu\]'"
    ):
        Partitioner.of(MeshConfig())


def test_patience_is_longer_than_the_time_between_two_signs_of_life():
    with pytest.raises(ConfigError, match=r"mesh\.patience_seconds=1 must be at least 3"):
        MeshConfig(patience_seconds=1)


@pytest.fixture(scope="module")
def partitioner():
    return Partitioner.of(MeshConfig(2, 2, 2))


def test_rules_use_an_axis_once_and_cut_only_what_it_divides(partitioner):
    assert partitioner.spec(("embed", "heads", "head_dim"), (8, 4, 3)) == P("fsdp", "tensor", None)
    assert partitioner.spec(("vocab", "mlp"), (8, 8)) == P("tensor", None)
    assert partitioner.spec(("vocab", "embed"), (7, 8)) == P(None, "fsdp")
    assert partitioner.spec(("batch", None), (8, 5)) == P(("data", "fsdp"), None)


def test_experts_are_dealt_out_or_refused():
    partitioner = Partitioner.of(MeshConfig(data=2, tensor=2, expert=2))
    assert partitioner.spec(("experts", "embed", "mlp"), (4, 8, 6)) == P("expert", None, "tensor")
    assert partitioner.spec(("batch", "length", "experts"), (8, 5, 4)) == P(("data", "expert"), None, None)
    with pytest.raises(ConfigError, match=r"mesh.expert=2 does not divide the 5 experts of a layer; choose a divisor of 5"):
        layout(tiny.model("mixtral", num_experts=5), AdamW(steps=1), partitioner)


def test_the_slower_network_joins_the_outermost_axes():
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, dcn_data=2))
    assert [device.id for device in mesh.devices[0].flat] == [0, 1, 2, 3]
    partitioner = Partitioner(mesh)
    assert partitioner.batch_shards == 8
    assert partitioner.spec(("batch", None), (8, 5)) == P(("dcn_data", "data", "fsdp"), None)
    assert partitioner.spec(("vocab", "embed"), (8, 8)) == P(None, "fsdp")
    between = Partitioner.of(MeshConfig(data=1, fsdp=4, dcn_fsdp=2))
    assert between.spec(("vocab", "embed"), (8, 8)) == P(None, ("dcn_fsdp", "fsdp"))


def test_a_recipe_changes_the_rules_of_parameters_and_of_optimizer_state():
    """Parameters whole, their moments cut: ZeRO-1."""
    config = MeshConfig(data=1, fsdp=8, rules=(("embed", ()),), optimizer_rules=(("embed", ("fsdp",)),))
    plan = layout(tiny.model("gpt2", vocab_size=64), AdamW(steps=1), Partitioner.of(config))
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(plan.abstract.params))
    moments = [leaf for leaf in jax.tree.leaves(plan.abstract.opt_state) if 32 in leaf.shape]  # embed_dim
    assert moments
    assert not any(leaf.sharding.is_fully_replicated for leaf in moments)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"rules": (("embeds", ()),)}, "mesh.rules: 'embeds' is not a logical name; they are batch, length, .* mean 'embed'"),
        (
            {"optimizer_rules": (("embed", ("fdsp",)),)},
            "mesh.optimizer_rules: 'fdsp', for 'embed', is not a mesh axis; they are dcn_data, dcn_fsdp, .* mean 'fsdp'",
        ),
        ({"rules": (("embed", ("fsdp", "fsdp")),)}, "mesh.rules: fsdp, fsdp, for 'embed', has an axis twice"),
    ],
)
def test_rules_that_name_what_there_is_not_are_refused(rules, words):
    with pytest.raises(ConfigError, match=words):
        Partitioner.of(MeshConfig(**rules))


def test_a_recipe_adds_the_names_of_its_own_layers():
    own = Partitioner.of(MeshConfig(4, 1, 2, rules=(("rank", ("tensor",)),)))
    assert own.spec(("embed", "rank"), (8, 4)) == P(None, "tensor")
    own.require_used({"rank", "embed"})
    with pytest.raises(
        ConfigError, match=r"mesh\.rules: 'rank' is the name of no axis: no parameter of the model has it, and the table"
    ):
        layout(tiny.model("gpt2"), AdamW(steps=1), own)


def test_a_name_that_no_rule_knows_is_an_error_also_on_one_device(partitioner):
    with pytest.raises(
        UserError, match=r"the logical axis 'head' of an array of shape \(4,\) is in no sharding rule. Did you mean"
    ):
        partitioner.spec(("head",), (4,))
    with constraints(Partitioner.of(MeshConfig(), jax.devices()[:1])), pytest.raises(UserError, match="'length_'"):
        constrain(np.zeros(3), "length_")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_is_cut_and_its_optimizer_state_lies_as_it_does(partitioner, family, optimizer):
    plan = layout(tiny.model(family, vocab_size=64), optimizer(steps=1), partitioner)
    for path, names in jax.tree_util.tree_leaves_with_path(plan.axes, is_leaf=lambda x: isinstance(x, tuple)):
        leaf = plan.abstract.params
        for key in path:
            leaf = leaf[key.key]
        wanted = {RULES[name][-1] for name in names if RULES[name]} - {"expert"}  # this mesh has one of it
        used = set(jax.tree.leaves(tuple(leaf.sharding.spec)))
        assert used == wanted, f"{jax.tree_util.keystr(path)} {names}: {leaf.sharding.spec}"
    cut = {leaf.shape: leaf.sharding.spec for leaf in jax.tree.leaves(plan.abstract.params) if len(leaf.shape) > 1}
    states = [leaf for leaf in jax.tree.leaves(plan.abstract.opt_state) if leaf.shape in cut]
    assert states
    assert all(
        any(axis is not None for axis in leaf.sharding.spec) == any(a is not None for a in cut[leaf.shape]) for leaf in states
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_leaf_of_optimizer_state_lies_as_its_own_parameter(partitioner, optimizer):
    """By path: query and key have one shape, and in GPT-2 one sharding; up and down of a square MLP have not."""
    params = {"up": np.zeros((8, 8)), "down": np.zeros((8, 8)), "scale": np.zeros(8)}
    axes = {"up": ("embed", "mlp"), "down": ("mlp", "embed"), "scale": ("embed",)}
    lies = {name: partitioner.sharding(axes[name], params[name].shape) for name in params}
    state = jax.eval_shape(optimizer(steps=1).build(axes).init, params)
    found = jax.tree_util.tree_leaves_with_path(like_params(state, params, lies, partitioner.copied))
    named = [(str(path[-1].key), sharding.spec) for path, sharding in found if hasattr(path[-1], "key")]
    assert {name for name, _ in named} == set(params)
    for name, spec in named:
        assert spec == lies[name].spec, name
    assert all(sharding.spec == P() for path, sharding in found if not hasattr(path[-1], "key"))  # counts


def test_rows_land_where_the_batch_axis_says(partitioner):
    assert local_rows(partitioner, 8).tolist() == list(range(8))
    placed = place({"tokens": np.arange(16).reshape(8, 2), "row": np.arange(8)}, partitioner, 8)
    assert placed["tokens"].sharding.spec == P(("data", "fsdp"), None)
    assert (np.asarray(placed["tokens"]) == np.arange(16).reshape(8, 2)).all()


def test_work_ahead_comes_in_order_and_errors_where_the_result_would():
    def items():
        yield from range(3)
        raise ValueError("the fourth is broken")

    ahead = Ahead(items(), lambda x: x * x)
    assert [next(ahead) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(ValueError, match="the fourth is broken"):
        next(ahead)
    ahead.close()
    assert list(Ahead(iter(range(4)), str)) == ["0", "1", "2", "3"]


def test_an_error_of_the_work_is_raised_again_when_asked_again():
    ahead = Ahead(iter([1, 0]), lambda x: 1 // x)
    assert next(ahead) == 1
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            next(ahead)
    ahead.close()


def test_closing_closes_what_it_reads():
    closed = []

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    ahead = Ahead(items(), lambda x: x)
    next(ahead)
    ahead.close()
    assert closed == [True]


def test_a_parameter_without_names_is_named():
    with pytest.raises(UserError) as error:
        axis_names({"block": {"kernel": nn.LogicallyPartitioned(np.zeros((2, 2)), ("embed",))}})
    assert str(error.value) == (
        "the parameter ['block']['kernel'] does not name each of its axes; make it with jaxlm.models.layers.base.param, "
        "or wrap its initializer in flax.linen.with_logical_partitioning"
    )


def test_closing_ends_the_thread_though_nobody_takes_its_results():
    ahead = Ahead(iter(range(10**9)), lambda x: x, depth=1)
    next(ahead)
    ahead.close()
    assert not ahead._thread.is_alive()


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_the_partitioner_copies_no_activation_whole(partitioner, family, capfd):
    """XLA warns on stderr where a constraint is missing: "Involuntary full rematerialization"."""
    objective = CausalLM() if family == "gpt2" else MaskedLM()
    model = tiny.model(family, vocab_size=64, num_layers=1)
    plan = layout(model, AdamW(steps=1), partitioner)
    batch = {name: jax.ShapeDtypeStruct(rows.shape, rows.dtype) for name, rows in tiny.batch(objective, 16).items()}
    update = partial(train_step, model=model, objective=objective, optimizer=plan.transformation, num_microbatches=1)

    def step(state, batch):
        with constraints(partitioner):
            return update(state, batch)

    shardings = (plan.shardings, partitioner.rows((16,)))
    jax.jit(step, in_shardings=shardings, out_shardings=(plan.shardings, None)).lower(plan.abstract, batch).compile()
    assert "ematerialization" not in capfd.readouterr().err
