"""The command line: commands, help, what goes where, exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import pytest

from jaxlm.cli import main as main_module
from jaxlm.cli.command import Command, flag, help_text, parse, positional, usage
from jaxlm.cli.main import COMMANDS, main
from jaxlm.core import ConfigError, RunError, UserError
from jaxlm.core.lookup import load

ROOT = Path(main_module.__file__).parents[2]


class StoppedError(UserError):
    exit_code = 75


@dataclass(frozen=True)
class Words:
    what: str = positional("What happens.")
    often: int = flag(1, "N", "How often.")
    prompt: tuple[str, ...] = flag((), "TEXT", "What to say; may be given several times.")
    loud: bool = flag(False, "", "Loudly.")


@dataclass(frozen=True)
class Needy:
    text: str = flag(MISSING, "TEXT", "A text.")


@dataclass(frozen=True)
class Spare:
    first: str = positional("A word.")
    dir: str = positional("A folder.", default="runs")


def happen(words: Words) -> Mapping[str, Any]:
    print("for people")
    events = {"config": ConfigError("c"), "run": RunError("r"), "stop": StoppedError("s"), "ctrl-c": KeyboardInterrupt()}
    if words.what in events:
        raise events[words.what]
    return {"got": 1 / words.often, "prompt": words.prompt, "path": Path("a")}


COMMAND = Command("happen", "Something happens.", Words, happen, ("jaxlm happen well",))
NEEDY = Command("needy", "Needs.", Needy, lambda words: {}, ("jaxlm needy --text a",))

OPTIONAL = Command("optional", "May.", Spare, lambda words: {}, ("jaxlm optional a",))


@pytest.fixture
def happening(monkeypatch):
    monkeypatch.setitem(main_module.COMMANDS, "happen", f"{__name__}:COMMAND")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[happen.__module__])


def run(capsys, *words):
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.usefixtures("happening")
class TestMain:
    def test_a_result(self, capsys):
        assert run(capsys, "happen", "well") == (0, "for people\n", "")

    def test_json_has_the_last_line_and_the_rest_goes_to_stderr(self, capsys):
        for words in (["happen", "well", "--json"], ["--json", "happen", "well"]):
            code, out, err = run(capsys, *words)
            assert (code, json.loads(out), err) == (0, {"got": 1.0, "prompt": [], "path": "a"}, "for people\n")

    @pytest.mark.parametrize(
        ("what", "code", "message"), [("config", 2, "c"), ("run", 1, "r"), ("stop", 75, "s"), ("ctrl-c", 130, "interrupted")]
    )
    def test_an_error_is_its_message_alone(self, capsys, what, code, message):
        assert run(capsys, "happen", what) == (code, "for people\n", f"{message}\n")
        found, out, err = run(capsys, "happen", what, "--json")
        assert (found, json.loads(out), err) == (code, {"error": message, "exit_code": code}, f"for people\n{message}\n")

    def test_a_fault_of_our_own_has_its_traceback(self, capsys):
        code, out, err = run(capsys, "happen", "well", "--often", "0", "--json")
        assert code == 1
        assert json.loads(out) == {"error": "a fault in jaxlm itself: ZeroDivisionError: division by zero", "exit_code": 1}
        assert "Traceback (most recent call last)" in err

    def test_a_file_that_is_not_ours_to_read_is_named(self, capsys, monkeypatch):
        def refuse(words):
            raise PermissionError(13, "Permission denied", "/their/run")

        monkeypatch.setattr(main_module, "_run", refuse)
        words = "/their/run: Permission denied. Change who may read and write it, or name another\n"
        assert run(capsys, "happen", "well") == (1, "", words)

    def test_help(self, capsys):
        code, out, _ = run(capsys, "happen", "--help")
        assert code == 0
        assert out.startswith(
            "usage: jaxlm happen WHAT [--often N] [--prompt TEXT] [--loud] [--json]\n\nSomething happens.\n\n"
            "  WHAT           What happens.\n  --often N      How often. (default: 1)\n"
        )
        assert "examples:\n  jaxlm happen well" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trian x", "jaxlm trian: there is no such command. Did you mean 'train'? See jaxlm --help."),
        ("config shw", "jaxlm config shw: there is no such command. Did you mean 'config show'? See jaxlm --help."),
        ("config", "jaxlm config: what of it? Allowed: jaxlm config show."),
        (
            "train --from x",
            "jaxlm train: RECIPE is missing. Allowed: jaxlm train RECIPE [--run-dir DIR]",
        ),
        ("train --train.steps 3 x.py", "--train.steps: stands before RECIPE. Allowed: jaxlm train RECIPE"),
        ("train x.py y.py", "'y.py': one word too many. Allowed: jaxlm train RECIPE"),
        ("train x.py --run-dir", "--run-dir: no value was given, one value is allowed: Path or None."),
        ("train x.py --run-dir --trust", "--run-dir: no value was given"),
        ("train x.py", "RECIPE: 'x.py' is no .py file, no run and no shipped recipe."),
    ],
)
def test_words_of_errors(capsys, words, message):
    code, out, err = run(capsys, *words.split())
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_flags_become_arguments():
    found = parse(COMMAND, ["--often=3", "well", "--prompt", "a b", "--loud", "--prompt", "-1"])
    assert found == Words("well", often=3, prompt=("a b", "-1"), loud=True)
    assert parse(COMMAND, ["--loud", "well"]) == Words("well", loud=True)
    for words, message in {
        "well --oftn 3": "--oftn: `jaxlm happen` has no such flag. Did you mean '--often'",
        "well --often many": "--often: 'many' was given, int is allowed.",
        "well --often": "--often: no value was given, one value is allowed: int.",
        "well --loud=maybe": "--loud: 'maybe' was given, bool is allowed.",
        "well ill": f"'ill': one word too many. Allowed: {usage(COMMAND)}",
    }.items():
        with pytest.raises(ConfigError) as error:
            parse(COMMAND, words.split())
        assert str(error.value).startswith(message)
    with pytest.raises(ConfigError, match=r"^jaxlm needy: --text is missing. Allowed: jaxlm needy --text TEXT \[--json\]$"):
        parse(NEEDY, [])


def test_a_word_with_a_default_may_be_left_out():
    assert usage(OPTIONAL) == "jaxlm optional FIRST [DIR] [--json]"
    assert parse(OPTIONAL, ["a"]) == Spare("a", "runs")
    assert parse(OPTIONAL, ["a", "b"]) == Spare("a", "b")
    assert "  DIR     A folder. (default: runs)\n" in help_text(OPTIONAL, [])
    for words, message in {"": "jaxlm optional: FIRST is missing. Allowed: ", "a b c": "'c': one word too many. Allowed: "}.items():
        with pytest.raises(ConfigError) as error:
            parse(OPTIONAL, words.split())
        assert str(error.value) == f"{message}{usage(OPTIONAL)}"


def test_flags_of_the_command_stand_anywhere_after_recipe():
    words = "tiny.py --width 3 --run-dir runs/x --train.steps 1 2 --from runs/y --log.no-progress --trust"
    found = parse(load(COMMANDS["train"]), words.split())
    assert (found.recipe, found.run_dir, found.from_, found.trust) == ("tiny.py", Path.cwd() / "runs/x", "runs/y", True)
    assert found.overrides == ("--width", "3", "--train.steps", "1", "2", "--log.no-progress")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_name_and_help_with_examples(capsys, name):
    code, out, err = run(capsys, *name.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: jaxlm {name} ")
    assert f"\nexamples:\n  jaxlm {name}" in out
    assert load(COMMANDS[name]).name == name


def test_help_of_a_recipe_has_its_dials_and_all_fields(capsys, recipe):
    code, out, _ = run(capsys, "train", recipe, "--layers", "3", "--train.steps", "7", "--help")
    assert code == 0
    for words in [
        "Learns nothing in particular.",
        "--layers INT",
        "How many blocks it has. (default: 2)",
        "--train.steps INT",
        "Updates of the parameters. (default: 7)",
        "--model.decoder.0.repeats INT",
        "--data.sources.0.path",
        "--optimizer.learning-rate FLOAT",
        "--log.tensorboard, --log.no-tensorboard",
    ]:
        assert words in out
    repeats = " ".join(out.partition("--model.decoder.0.repeats INT")[2].split())
    assert repeats.startswith("How often the whole pattern does. (default: 3)")


@pytest.mark.parametrize("name", [name for name, target in COMMANDS.items() if "RECIPE" in usage(load(target))])
def test_every_command_with_a_recipe_lists_its_settings(capsys, recipe, name):
    code, out, err = run(capsys, *name.split(), recipe, "--help")
    assert (code, err) == (0, "")
    assert "--layers INT" in out
    assert "--optimizer.learning-rate FLOAT" in out


def test_help_of_a_recipe_that_needs_a_dial(capsys, recipe):
    Path(recipe).write_text(Path(recipe).read_text().replace("layers: int = 2", "layers: int"))
    code, out, _ = run(capsys, "train", recipe, "--help")
    assert code == 0
    assert "--layers INT" in out
    assert "needs it and has no default. Give --layers VALUE." in out


def test_help_of_a_recipe_whose_dials_have_odd_types(capsys, recipe):
    Path(recipe).write_text(Path(recipe).read_text().replace("layers: int = 2", "layers: set[int] = 2"))
    code, out, err = run(capsys, "train", recipe, "--help")
    assert (code, err) == (0, "")
    assert (
        "Dials of tiny.py:\n\nThey cannot be shown. Give each a type that a flag can have, and a default of that type.\nTypeError: "
        in out
    )
    assert "--train.steps INT" in out


def python(*words):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=env, cwd=ROOT)


HEAVY = {"jax", "flax", "optax", "grain", "orbax", "tyro", "rich", "sentencepiece", "tokenizers", "tensorboardX", "cloudpickle"}
SAY = f"; print(len(sys.modules), *sorted({{m.partition('.')[0] for m in sys.modules}} & {HEAVY}))"


def loaded(code):
    """How many modules a fresh interpreter has after this code, and which of the heavy packages."""
    done = python("-c", f"import sys; {code}{SAY}")
    assert done.returncode == 0, done.stderr
    number, *heavy = done.stdout.splitlines()[-1].split()
    return int(number), set(heavy)


@pytest.mark.parametrize(
    "code",
    ["import jaxlm, jaxlm.core", *(f"from jaxlm.cli.main import main; main({[*w.split(), '--help']})" for w in ["", *COMMANDS])],
)
def test_import_and_help_load_little(code):
    """What takes time is importing: it is held by its number, which no other load of the machine changes."""
    number, heavy = loaded(code)
    assert heavy == set()
    assert number < 300  # 250 of them numpy's and Python's own


def test_help_of_a_recipe_loads_nothing_of_data_and_checkpoints():
    """A recipe names models and optimizers, so jax is loaded; what only training needs is not."""
    number, heavy = loaded("from jaxlm.cli.main import main; main(['train', 'quickstart', '--help'])")
    assert heavy >= {"jax", "tyro"}, "else this looks at nothing"
    assert not heavy & {"grain", "orbax", "tensorboardX"}
    assert number < 1500


def test_a_reader_that_leaves_is_no_error(recipe):
    command = f"{sys.executable} -m jaxlm.cli.main config show {recipe} | head -1"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=env)
    assert (done.stdout.split(), done.stderr) == (["type", "jaxlm.run.config:RunConfig"], "")
