"""Flags over values: what they set, and the words of every error."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxlm.core import ConfigError
from jaxlm.run.overrides import override, split_flags
from jaxlm.run.recipe import load_recipe


def load(recipe, line):
    return load_recipe(recipe, line.split()).config


def refusal(recipe, line):
    with pytest.raises(ConfigError) as error:
        load(recipe, line)
    return str(error.value)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("--train.steps 20", "train.steps", 20),
        ("--train.steps=20", "train.steps", 20),
        ("--train.steps 1e3", "train.steps", 1000),
        ("--train.batch-size 4", "train.batch_size", 4),
        ("--train.batch_size 4", "train.batch_size", 4),
        ("--train.steps 1 --train.steps 2", "train.steps", 2),
        ("--train.eval-every 5", "train.eval_every", 5),
        ("--train.eval-every 5 --train.eval-every None", "train.eval_every", None),
        ("--mesh.data -1", "mesh.data", -1),
        ("--log.tensorboard false", "log.tensorboard", False),
        ("--log.no-tensorboard", "log.tensorboard", False),
        ("--no-log.tensorboard", "log.tensorboard", False),
        ("--log.no-tensorboard --log.tensorboard", "log.tensorboard", True),
        ("--optimizer.learning-rate 3", "optimizer.learning_rate", 3.0),
        ("--data.split hash", "data.split", "hash"),
        ("--data.weights 1 0.5", "data.weights", (1.0, 0.5)),
        ("--data.weights", "data.weights", ()),
        ("--data.weights 1 2 --data.weights ()", "data.weights", ()),
        ('--mesh.rules [["embed",[]],["vocab",["tensor"]]]', "mesh.rules", (("embed", ()), ("vocab", ("tensor",)))),
        ("--mesh.rules ()", "mesh.rules", ()),
        ("--model.decoder.0.pattern.0.mlp.mlp-dim 7", "model.decoder.0.pattern.0.mlp.mlp_dim", 7),
        ("--model.embed.positions None", "model.embed.positions", None),
        ("--own --objective.gamma 1", "objective.gamma", 1.0),
        ("--own --objective.parts 1 2", "objective.parts", (1.0, 2.0)),
    ],
)
def test_sets(recipe, line, key, value):
    found = load(recipe, line)
    for name in key.split("."):
        found = found[int(name)] if name.isdecimal() else getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_a_path_is_a_path_from_the_current_folder(recipe):
    config = load(recipe, "--data.sources.0.path b.txt")
    assert config.data.sources[0].path == Path.cwd() / "b.txt"


def test_what_no_flag_names_stays_the_same_object(recipe):
    before = load(recipe, "")
    after = override(before, split_flags(["--train.steps", "3"]))
    assert after.model is before.model
    assert after.train.steps == 3
    assert override(before, []) is before


def test_a_constructor_sees_all_changes_at_once(recipe):
    recipe.write_text(
        recipe.read_text().replace(
            "    gamma: float = 2.0\n",
            "    gamma: float = 2.0\n    top: float = 3.0\n\n    def __post_init__(self):\n        if self.gamma > self.top:\n"
            "            raise ValueError('gamma is above top')\n\n",
        )
    )
    assert load(recipe, "--own --objective.gamma 9 --objective.top 10").objective.gamma == 9
    assert refusal(recipe, "--own --objective.gamma 9") == "objective: gamma is above top"


def test_words_of_errors(recipe):
    for line, words in {
        "--train.stepz 3": "--train.stepz: there is no such flag. Did you mean '--train.steps' or '--train.seed'?",
        "--gamma 3 --own": "--gamma: there is no such flag. Did you mean '--objective.gamma'?",
        "--sise small": "--sise: there is no such flag. Did you mean '--size'?",
        "--qqqq 1": "--qqqq: there is no such flag. See --help for all.",
        "--data.sources.1.path x": "--data.sources.1.path: there is no such flag. Did you mean '--data.sources.0.path'",
        "--train.steps many": "train.steps: 'many' was given, int is allowed. Set it in the recipe or with --train.steps VALUE.",
        "--train.steps 1.5": "train.steps: '1.5' was given, int is allowed.",
        "--train.steps": "--train.steps: no value was given, one value is allowed: int.",
        "--train.steps 1 2": "--train.steps: '1' '2' was given, one value is allowed: int.",
        "--train.eval-every often": "train.eval_every: 'often' was given, int or None is allowed. Set it in the recipe or with "
        "--train.eval-every VALUE.",
        "--train.steps None": "train.steps: 'None' was given, int is allowed.",
        "--optimizer.learning-rate nan": "optimizer.learning_rate: nan was given, float is allowed.",
        "--data.split hsah": "data.split: 'hsah' was given, 'auto', 'hash' or 'tail' is allowed. Did you mean 'hash'?",
        "--log.tensorboard maybe": "log.tensorboard: 'maybe' was given, bool is allowed.",
        "--log.no-tensorboard yes": "--log.no-tensorboard: 'yes' was given, no value is allowed.",
        "--data.weights 1 x": "data.weights.1: 'x' was given, float is allowed.",
        "--mesh.rules embed=": "--mesh.rules: 'embed=' is no JSON. Allowed: a list of lists as config.json has it, such as "
        "'[[\"embed\", []]]'.",
        '--mesh.rules [["embed","fsdp"]]': "mesh.rules.0.1: 'fsdp' was given, several of str is allowed. Set it in the "
        "recipe or with --mesh.rules VALUE.",
        "--objective masked": "objective: 'masked' was given, Objective is allowed. Set it in the recipe.",
        "--size huge": "size: 'huge' was given, 'small' or 'medium' is allowed.",
        "stray --train.steps 1": "'stray': no flag stands before it. Allowed: --group.field VALUE.",
        "--train 3 --train.steps 4": "--train.steps: the whole that it is a part of was set by another flag. Give one of the two.",
        "--train.steps 4 --train 3": "--train: a part of it was set by another flag. Give one of the two.",
    }.items():
        assert refusal(recipe, line).startswith(words), line


def test_what_a_class_refuses_is_one_message(recipe):
    assert refusal(recipe, "--optimizer.learning-rate -1") == "optimizer.learning_rate=-1.0 must be above 0"


KEYS = [
    "train.steps",
    "mesh.rules",
    "train",
    "data.weights",
    "data.sources.0.path",
    "mesh.data",
    "log.tensorboard",
    "model.decoder.0",
]
WORDS = st.one_of(st.sampled_from(["--", "-", "None", "()", "1e400", "inf", "nan", "true", "-1", "=", "1_0"]), st.text(max_size=6))
FLAGS = st.one_of(st.sampled_from(KEYS).map("--{}".format), st.sampled_from(KEYS).map("--no-{}=x".format), WORDS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.one_of(FLAGS, WORDS), max_size=5))
def test_no_command_line_ends_in_a_traceback(recipe, words):
    with contextlib.suppress(ConfigError):
        load_recipe(recipe, words)
