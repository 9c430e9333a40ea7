"""RECIPE: what it may be, its dials, and the words of its errors."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

import jaxlm
from jaxlm.core import ConfigError
from jaxlm.run import recipe as recipe_module
from jaxlm.run.recipe import find_recipe, load_recipe, recipe_of, shipped
from jaxlm.run.source import load_source


def refusal(*args, **kwargs):
    with pytest.raises(ConfigError) as error:
        load_recipe(*args, **kwargs)
    return str(error.value)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A checkout with two shipped recipes, and a current folder elsewhere."""
    (tmp_path / "house/jaxlm/run").mkdir(parents=True)
    (tmp_path / "house/configs/nano").mkdir(parents=True)
    (tmp_path / "house/configs/quickstart.py").write_text("")
    (tmp_path / "house/configs/nano/gpt2.py").write_text("")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(recipe_module, "__file__", str(tmp_path / "house/jaxlm/run/recipe.py"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "house"


def test_shipped_recipes_are_found_from_any_folder(house):
    assert set(shipped()) == {"quickstart", "nano/gpt2"}
    assert find_recipe("quickstart") == (house / "configs/quickstart.py", "quickstart")
    assert find_recipe("nano/gpt2") == (house / "configs/nano/gpt2.py", "nano-gpt2")
    assert find_recipe("configs/nano/gpt2.py") == (house / "configs/nano/gpt2.py", "gpt2")


def test_in_a_wheel_they_lie_in_the_package(house):
    (house / "configs").rename(house / "jaxlm/configs")
    assert find_recipe("nano/gpt2")[0] == house / "jaxlm/configs/nano/gpt2.py"


def test_a_file_comes_before_a_shipped_name(house):
    Path("configs").mkdir()
    Path("configs/quickstart.py").write_text("")
    assert find_recipe("configs/quickstart.py") == (Path.cwd() / "configs/quickstart.py", "quickstart")
    assert find_recipe("quickstart")[0] == house / "configs/quickstart.py"


def test_a_run_is_a_recipe(house):
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/config.json").write_text("{}")
    expected = (Path.cwd() / "runs/mine/config.json", "mine")
    assert find_recipe("runs/mine") == find_recipe("runs/mine/config.json") == expected


def test_an_unknown_recipe(house):
    assert refusal("quikstart") == ("RECIPE: 'quikstart' is no .py file, no run and no shipped recipe. Did you mean 'quickstart'?")
    assert "Did you mean 'nano/gpt2'?" in refusal("configs/nano/gpt.py")
    Path("empty").mkdir()
    assert refusal("empty") == ("RECIPE: 'empty' is a folder without config.json. Give a run folder, a .py file or a shipped name.")


def test_dials_reach_config_by_their_types(recipe):
    loaded = load_recipe(recipe, ["--size", "medium", "--text", "my.txt", "--own", "--train.steps", "7"])
    assert loaded.name == "tiny"
    assert loaded.source == recipe.read_text()
    assert loaded.dials == {"size": "medium", "text": Path.cwd() / "my.txt", "own": True}
    assert loaded.config.model.decoder[0].repeats == 3
    assert loaded.config.data.sources[0].path == Path.cwd() / "my.txt"
    assert loaded.config.train.steps == 7
    assert loaded.holds_own
    assert not load_recipe(recipe, ["--no-own"]).holds_own
    assert load_recipe(recipe, ["--text", "None"]).dials == {"text": None}


def test_dials_from_python(recipe):
    assert jaxlm.recipe(recipe, width=4, text="my.txt").data.sources[0].path == Path.cwd() / "my.txt"
    with pytest.raises(ConfigError, match=r"^widht: config\(\) of .*tiny.py:25 has no 'widht'. Did you mean 'width'\?$"):
        jaxlm.recipe(recipe, widht=4)
    with pytest.raises(ConfigError, match=r"^width: 'four' was given, int is allowed"):
        jaxlm.recipe(recipe, width="four")


def test_numbers_take_the_type_of_their_field(recipe):
    rate = load_recipe(recipe).config.optimizer.learning_rate  # the recipe says 1
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("def config(", "def confg(", "{}:1: has no function `config`. A recipe defines def config() -> RunConfig."),
        ("def config(*, ", "def config(", "{}:25: config() takes 'text' by place; its arguments are dials, by name alone."),
        ("own: bool", "json: bool", "{}:25: dial 'json' bears the name of a flag that the commands have. Rename it."),
        ("width: int = 8)", "width: int)", "width: {}:25 needs it and has no default. Give --width VALUE."),
        ("width: int", "width: Wide", "{}:25: the types of config()'s arguments cannot be read: name 'Wide' is not defined."),
        ("return RunConfig(", "return dict(", "{}:25: config() returned dict, not a RunConfig. End it with return RunConfig(...)."),
        ("seq_len=16", "seq_length=16", "{}:38: TypeError: DataConfig.__init__() got an unexpected keyword argument 'seq_length'"),
        ("seq_len=16", "seq_len='16'", "data.seq_len: '16' was given, int is allowed."),
        ("tokenizer=Characters()", "tokenizer=CausalLM()", "tokenizer: CausalLM("),
        ("learning_rate=1)", "learning_rate=0)", "{}:36: optimizer.learning_rate=0 must be above 0"),
        ("    return RunConfig(", "    return RunConfig((", "{}:33: '(' was never closed."),
        ("from pathlib import Path", "from pathlib import Pth", "{}:5: ImportError: cannot import name 'Pth' from 'pathlib'"),
        ("from pathlib import Path", "raise SystemExit(3)", "{}:5: SystemExit: 3"),
        ("from pathlib import Path", "raise GeneratorExit(3)", "{}:5: GeneratorExit: 3"),
        ("from pathlib import Path", "class Mute(Exception): __str__ = None\nraise Mute", "{}:6: Mute"),
        ("from pathlib import Path", "\0", "{}: source code string cannot contain null bytes."),
        ("seq_len=16", "seq_len=type('Mute', (), {'__repr__': None})()", "data.seq_len: <Mute> was given, int is allowed."),
    ],
)
def test_errors_in_a_recipe_name_file_and_line(recipe, old, new, words):
    assert old in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(old, new))
    assert refusal(recipe).startswith(words.format(recipe))


def test_a_shipped_recipe_has_no_line_that_is_to_blame(tmp_path):
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(ConfigError) as error:
        load_recipe("quickstart", ["--text", str(tmp_path / "short.txt")])
    assert str(error.value).startswith(f"text={tmp_path / 'short.txt'}: holds 9 bytes; from 100,000 on there is something")


def test_an_edited_recipe_is_read_anew(recipe):
    before = load_recipe(recipe)
    recipe.write_text(recipe.read_text().replace("seq_len=16", "seq_len=8"))
    after = load_recipe(recipe)
    assert (before.config.data.seq_len, after.config.data.seq_len) == (16, 8)
    assert before.digest != after.digest


def test_the_same_recipe_gives_equal_values(recipe):
    assert load_recipe(recipe, ["--own"]).config == load_recipe(recipe, ["--own"]).config


def test_its_classes_travel_by_value(recipe):
    Path("objective").write_bytes(cloudpickle.dumps(load_recipe(recipe, ["--own"]).config.objective))
    recipe.unlink()
    read = f"import sys; sys.path[:] = {sys.path!r}; import pickle; print(pickle.load(open('objective', 'rb')).gamma)"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True)
    assert done.stdout == "2.0\n", done.stderr


def test_a_config_made_in_python_knows_its_recipe(recipe):
    loaded = load_recipe(recipe, ["--own"])
    found = recipe_of(dataclasses.replace(loaded.config), name="mine")
    assert (found.name, found.source, found.to_json()) == ("mine", loaded.source, loaded.to_json())
    assert recipe_of(load_recipe(recipe).config).source is None


def test_its_changes_of_the_path_end_with_it(recipe):
    before = list(sys.path)
    recipe.write_text("import sys\nsys.path.insert(0, '/nowhere')\n" + recipe.read_text().replace("from __future__", "#"))
    load_source(recipe)
    assert sys.path == before
