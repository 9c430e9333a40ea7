"""What makes it another run, and what does not."""

import pytest

from jaxlm.run.config import with_schedule_length
from jaxlm.run.difference import differences
from jaxlm.run.recipe import load_recipe


def changed(recipe, line, before=""):
    old, new = load_recipe(recipe, before.split()).to_json(), load_recipe(recipe, line.split()).to_json()
    return [str(difference) for difference in differences(old, new)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--train.steps 5",
        "--train.num-microbatches 2",
        "--train.eval-every 5 --train.eval-batches 1",
        "--log.every 5 --log.no-progress",
        "--checkpoint.every None --checkpoint.every-seconds 5 --checkpoint.keep 1",
        "--data.num-workers 3",
        "--mesh.data 2 --mesh.fsdp 2 --mesh.tensor 1",
        "--model.remat full --model.kernel plain",
    ],
)
def test_may_change(recipe, line):
    assert changed(recipe, line) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--train.batch-size 5", "train.batch_size: 16 there, 5 now"),
        ("--train.seed 1", "train.seed: 0 there, 1 now"),
        ("--data.seq-len 8", "data.seq_len: 16 there, 8 now"),
        ("--data.weights 1", "data.weights: [] there, [1.0] now"),
        ("--model.dtype bfloat16", "model.dtype: 'float32' there, 'bfloat16' now"),
        ("--model.decoder.0.repeats 3", "model.decoder.0.repeats: 2 there, 3 now"),
        ("--model.norm None", "model.norm: 'jaxlm.models.layers.norm:LayerNorm' there, None now"),
        ("--own", "objective: 'jaxlm.objectives.causal:CausalLM' there, 'recipe:Focal' now"),
        ("--optimizer.steps 10", "optimizer.steps: None there, 10 now"),
    ],
)
def test_makes_another_run(recipe, line, words):
    assert changed(recipe, line) == [words]


def test_the_schedule_keeps_its_length(recipe):
    assert changed(recipe, "--train.steps 50", before="--optimizer.steps 10") == []
    assert changed(recipe, "--optimizer.steps 50", before="--optimizer.steps 10") == ["optimizer.steps: 10 there, 50 now"]
    config = load_recipe(recipe, ["--train.steps", "50"]).config
    assert with_schedule_length(config).optimizer.steps == 50
    assert with_schedule_length(config, {"optimizer": {"steps": 10}}).optimizer.steps == 10
    given = load_recipe(recipe, ["--optimizer.steps", "7"]).config
    assert with_schedule_length(given).optimizer.steps == 7
    assert with_schedule_length(given, {"optimizer": {"steps": 7}}) == given


def test_absent_keys_and_kinds():
    assert [str(d) for d in differences({"a": 1, "b": 2}, {"a": True, "c": [1]})] == [
        "a: 1 there, True now",
        "c: '(absent)' there, [1] now",
        "b: 2 there, '(absent)' now",
    ]
    assert differences({"format": 1, "a": 1}, {"format": 2, "a": 1.0}) == []
