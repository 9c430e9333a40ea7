"""`jaxlm config show`."""

import json
from pathlib import Path

from jaxlm.cli.main import main


def test_for_people(capsys, recipe):
    assert main(["config", "show", recipe, "--train.steps", "7"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["train.steps", "7"] in lines
    assert ["model.decoder.0.repeats", "2"] in lines
    assert ["objective.type", "jaxlm.objectives.causal:CausalLM"] in lines
    assert ["data.split", '"auto"'] in lines
    assert ["train.eval-every", "null"] in lines


def test_its_json_is_itself_a_recipe(capsys, recipe):
    assert main(["config", "show", recipe, "--layers", "3", "--json"]) == 0
    first = capsys.readouterr().out
    Path("mine.json").write_text(first)
    assert main(["config", "show", "mine.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(first)
    assert json.loads(first)["model"]["decoder"][0]["repeats"] == 3


def test_an_error(capsys, recipe):
    assert main(["config", "show", recipe, "--train.stepz", "7", "--json"]) == 2
    out, err = capsys.readouterr()
    message = "--train.stepz: there is no such flag. Did you mean '--train.steps' or '--train.seed'?"
    assert (json.loads(out), err) == ({"error": message, "exit_code": 2}, f"{message}\n")
