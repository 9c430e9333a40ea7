"""Config values to JSON and back; what is trusted; the words of every error."""

import importlib.util
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jaxlm.core import ConfigError
from jaxlm.data.config import DataConfig
from jaxlm.objectives.base import Objective
from jaxlm.run.config import RunConfig
from jaxlm.run.recipe import load_recipe
from jaxlm.run.saved import read_config, read_group
from jaxlm.run.values import from_json, to_json
from jaxlm.tokenizer.base import TokenizerConfig

FOCAL = {"type": "recipe:Focal", "z_loss": 0.0, "label_smoothing": 0.0, "gamma": 2.0, "parts": []}
"""As a config keeps it, with what it has of CausalLM."""


def save(loaded, folder, change=lambda node: None):
    """What a run keeps: its config, changed, and its recipe."""
    folder.mkdir(exist_ok=True)
    node = json.loads(json.dumps(loaded.to_json()))
    change(node)
    (folder / "config.json").write_text(json.dumps(node))
    if loaded.source:
        (folder / "recipe.py").write_text(loaded.source)
    return folder / "config.json"


def test_a_config_comes_back(recipe, tmp_path):
    loaded = load_recipe(recipe, ["--data.weights", "1", "0.5", "--train.eval-every", "None", "--optimizer.steps", "5"])
    assert read_config(save(loaded, tmp_path / "run")) == loaded.config
    assert read_config(save(loaded, tmp_path / "run")).data.sources[0].path == tmp_path / "shakespeare.txt"


def test_what_is_written(recipe, tmp_path):
    node = load_recipe(recipe, ["--own"]).to_json()
    assert node["format"] == 1
    assert node["type"] == "jaxlm.run.config:RunConfig"
    assert node["objective"] == FOCAL
    assert node["data"]["sources"][0]["path"] == str(tmp_path / "shakespeare.txt")
    assert node["model"]["heads"][0][1]["type"] == "jaxlm.models.layers.heads:VocabHead"


def test_a_path_stays_when_read_elsewhere(recipe, tmp_path, monkeypatch):
    saved = save(load_recipe(recipe), tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read_config(saved).data.sources[0].path == tmp_path / "shakespeare.txt"


def test_a_run_is_a_recipe_and_keeps_name_and_folder(recipe, tmp_path):
    saved = save(load_recipe(recipe, ["--own"]), tmp_path / "run")
    again = load_recipe(saved, ["--train.steps", "3"], trust=True)
    assert (again.name, again.run_dir, again.source) == ("run", tmp_path / "run", recipe.read_text())
    assert again.config.train.steps == 3
    assert again.to_json()["objective"] == FOCAL
    assert load_recipe(tmp_path / "run", trust=True).run_dir == tmp_path / "run"
    elsewhere = saved.rename(tmp_path / "run/mine.json")
    assert (load_recipe(elsewhere, trust=True).name, load_recipe(elsewhere, trust=True).run_dir) == ("mine", None)


def test_a_run_has_no_dials(recipe, tmp_path):
    saved = save(load_recipe(recipe), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"^size: .* is a finished config and has no dials. Override its fields.$"):
        load_recipe(saved, dials={"size": "small"})
    with pytest.raises(ConfigError, match=r"^--size: there is no such flag"):
        load_recipe(saved, ["--size", "small"])


def test_own_classes_need_trust_and_the_recipe_beside(recipe, tmp_path):
    saved = save(load_recipe(recipe, ["--own"]), tmp_path / "run")
    with pytest.raises(ConfigError) as error:
        read_config(saved)
    assert str(error.value) == (
        f"objective.type: 'recipe:Focal' in {saved} is code that is not jaxlm's own. "
        "If you trust who wrote it, add --trust (in Python: trust=True)."
    )
    (tmp_path / "run/recipe.py").unlink()
    with pytest.raises(ConfigError, match=r"^objective.type: 'recipe:Focal' needs the recipe.py that belongs beside"):
        read_config(saved, trust=True)


def test_without_trust_nothing_of_the_recipe_runs(recipe, tmp_path):
    saved = save(load_recipe(recipe, ["--own"]), tmp_path / "run")
    (tmp_path / "run/recipe.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ConfigError, match="add --trust"):
        read_config(saved)
    assert not (tmp_path / "ran").exists()


def test_a_group_alone_needs_no_trust_for_the_others(recipe, tmp_path):
    saved = save(load_recipe(recipe, ["--own"]), tmp_path / "run")
    assert read_group(saved, "tokenizer", TokenizerConfig) == load_recipe(recipe).config.tokenizer
    with pytest.raises(ConfigError, match=r"^objective.type: 'recipe:Focal' .* add --trust"):
        read_group(saved, "objective", Objective)
    assert read_group(saved, "objective", Objective, trust=True).gamma == 2.0
    with pytest.raises(ConfigError, match=r"^tokeniser: missing in .*config.json"):
        read_group(saved, "tokeniser", TokenizerConfig)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", 2, "{}: format 2 is newer than 1, the newest that this jaxlm reads. Upgrade jaxlm."),
        ("train.stepz", 3, "train.stepz: TrainConfig has no 'stepz'. Did you mean 'steps'? Mend it in {}."),
        ("train.steps", "3", "train.steps: '3' was given, int is allowed."),
        ("train.steps", True, "train.steps: True was given, int is allowed."),
        ("train.steps", None, "train.steps: None was given, int is allowed."),
        ("train", 3, "train: 3 was given, TrainConfig is allowed. Mend it in {}."),
        ("data.split", "hsah", "data.split: 'hsah' was given, 'auto', 'hash' or 'tail' is allowed. Did you mean 'hash'?"),
        ("data.weights", [1, "x"], "data.weights.1: 'x' was given, float is allowed."),
        ("data.sources", {"a": 1}, "data.sources: {{'a': 1}} was given, several of Source is allowed. Mend it in {}."),
        ("optimizer.learning_rate", 0, "optimizer.learning_rate=0.0 must be above 0. Mend it in {}."),
        ("objective", {"type": "jaxlm.tokenizer.characters:Characters"}, "objective: Characters("),
        (
            "objective.type",
            "jaxlm.objectives.causal:CausalML",
            "objective.type: 'jaxlm.objectives.causal:CausalML' in {} is un",
        ),
        (
            "objective.type",
            "jaxlm.objectives.casual:CausalLM",
            "objective.type: 'jaxlm.objectives.casual:CausalLM' in {} is un",
        ),
        ("objective.type", "jaxlm.core.lookup:load", "objective.type: 'jaxlm.core.lookup:load' in {} is unknown."),
        (
            "objective.type",
            "jaxlm.models.transformer:nn.Dense",
            "objective.type: 'jaxlm.models.transformer:nn.Dense' in {} is unknown.",
        ),
        ("objective.type", "subprocess:Popen", "objective.type: 'subprocess:Popen' in {} is code that is not jaxlm's own."),
        ("objective.type", "CausalLM", "objective.type: 'CausalLM' is no type. Allowed: 'package.module:Class'."),
        ("objective.type", 3, "objective.type: 3 is no type."),
    ],
)
def test_words_of_errors(recipe, tmp_path, key, value, words):
    def change(node):
        *groups, name = key.split(".")
        for group in groups:
            node = node[group]
        node[name] = value

    saved = save(load_recipe(recipe), tmp_path / "run", change)
    with pytest.raises(ConfigError) as error:
        read_config(saved)
    assert str(error.value).startswith(words.format(saved))


def test_a_missing_field_has_its_default_or_is_missed(recipe, tmp_path):
    saved = save(load_recipe(recipe), tmp_path / "run", lambda node: node["train"].pop("seed"))
    assert read_config(saved).train.seed == 0
    saved = save(load_recipe(recipe), tmp_path / "run", lambda node: node["data"].pop("sources"))
    with pytest.raises(ConfigError, match=r"^data.sources: missing in .*; several of Source is needed.$"):
        read_config(saved)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "cannot be read as JSON"), ("[]", "holds list, not a config"), ("\xff", "cannot be read as JSON")],
)
def test_a_broken_file(tmp_path, text, words):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert str(error.value).startswith(f"{path}: {words}")
    assert str(error.value).endswith("Give a config.json that jaxlm wrote.")


@dataclass(frozen=True)
class Holder(Objective):
    """Holds whatever it is given."""

    thing: object = None


@dataclass
class Loose(Objective):
    """Not frozen."""


def test_what_json_cannot_hold(recipe, monkeypatch):
    config = load_recipe(recipe).config
    module = sys.modules[Holder.__module__]
    for thing, words in [
        (print, "objective.thing: builtin_function_or_method <built-in function print> cannot be saved. Allowed: numbers,"),
        ({"type": 1}, "objective.thing: the names of a dict in a config are strings other than 'type'."),
        ({1: 1}, "objective.thing: the names of a dict in a config are strings other than 'type'."),
    ]:
        with pytest.raises(ConfigError) as error:
            to_json(replace(config, objective=Holder(thing)), module.__name__)
        assert str(error.value).startswith(words)
    with pytest.raises(ConfigError, match=r"^objective: Loose can change. Write @dataclass\(frozen=True\) above it.$"):
        to_json(replace(config, objective=Loose()), module.__name__)
    node = to_json(replace(config, objective=Holder({"a": (1, None)})), module.__name__)
    assert node["objective"] == {"type": "recipe:Holder", "thing": {"a": [1, None]}}
    back = from_json(json.loads(json.dumps(node)), RunConfig, trust=True, recipe=vars(module))
    assert back.objective == Holder({"a": (1, None)})


def test_a_class_of_another_file_is_refused(recipe, tmp_path):
    helper = tmp_path / "helper.py"
    helper.write_text("from jaxlm.run.source import load_source\n" + recipe.read_text().replace("from __future__", "#"))
    load = f"from jaxlm.run.source import load_source\nOther = load_source(Path({str(helper)!r})).module.Focal\n"
    recipe.write_text(recipe.read_text().replace("def config(", f"{load}\n\ndef config(").replace("Focal()", "Other()"))
    with pytest.raises(ConfigError) as error:
        load_recipe(recipe, ["--own"]).to_json()
    assert str(error.value) == (
        f"objective: class Focal comes from {helper} and could not be found again when the run goes on. "
        "Put it at the top level of the recipe's own file, or install its package."
    )


def test_a_class_of_a_notebooks_cell_is_refused(recipe, monkeypatch):
    import __main__

    monkeypatch.delattr(__main__, "__file__", raising=False)
    config = load_recipe(recipe).config
    own = dataclass(frozen=True)(type("Mine", (type(config.objective),), {"__module__": "__main__"}))
    with pytest.raises(ConfigError) as error:
        to_json(replace(config, objective=own()))
    assert str(error.value) == (
        "objective: class Mine is defined in a notebook's cell or a prompt and could not be found again when the run goes on. "
        "Write it to a file that ends in `def config()`, such as mine.py (in a notebook: %%writefile mine.py); its config is "
        "jaxlm.recipe('mine.py')."
    )


@pytest.mark.parametrize("source", [iter([{"text": "a"}]), lambda: [{"text": "a"}], [{"text": "a"}], {"text": "a"}])
def test_records_in_memory_are_no_source(source):
    with pytest.raises(
        ConfigError, match=r"^data\.sources\.0: \w+ was given, a source is allowed\. .* extends jaxlm\.corpus\.Records\.$"
    ):
        DataConfig(sources=(source,))


def test_a_class_found_by_a_changed_path_is_refused_and_an_installed_one_is_not(recipe, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/my_losses.py").write_text(recipe.read_text())
    change = f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r})\nfrom my_losses import Focal as Other\n"
    recipe.write_text(recipe.read_text().replace("\n\n@dataclass", f"{change}\n\n@dataclass").replace("Focal()", "Other()"))
    with pytest.raises(ConfigError, match=r"^objective: class Focal comes from .*my_losses.py and could not be found again"):
        load_recipe(recipe, ["--own"]).to_json()
    monkeypatch.syspath_prepend(tmp_path / "lib")
    loaded = load_recipe(recipe, ["--own"])
    assert loaded.to_json()["objective"]["type"] == "my_losses:Focal"
    assert not loaded.holds_own
    with pytest.raises(ConfigError, match=r"'my_losses:Focal' in .* is code that is not jaxlm's own"):
        read_config(save(loaded, tmp_path / "run"))
    assert read_config(save(loaded, tmp_path / "run"), trust=True) == loaded.config
    sys.modules.pop("my_losses")


def test_a_file_that_bears_an_installed_name_is_not_installed(recipe, tmp_path, monkeypatch):
    (tmp_path / "wave.py").write_text(recipe.read_text())
    spec = importlib.util.spec_from_file_location("wave", tmp_path / "wave.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "wave", module)
    spec.loader.exec_module(module)
    with pytest.raises(ConfigError, match=r"^objective: class Focal comes from .*/wave.py and could not be found again"):
        to_json(module.config(own=True))


def test_paths_are_paths_also_where_strings_may_stand():
    @dataclass(frozen=True)
    class Both:
        where: Path | str = "a.txt"
        several: Path | tuple[Path, ...] = ()

    from jaxlm.run.check import fit_fields

    assert fit_fields(Both()).where == Path.cwd() / "a.txt"
    assert fit_fields(Both("~/a.txt")).where == Path.home() / "a.txt"
    assert fit_fields(Both(several=["b", Path("c")])).several == (Path.cwd() / "b", Path.cwd() / "c")
