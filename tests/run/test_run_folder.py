"""Run folders: free, going on, finished, another run's, in use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.run.difference import Difference
from jaxlm.run.files import RunFolder
from jaxlm.run.folder import decide_folder
from jaxlm.run.lock import ending, is_used, lock_folder
from jaxlm.run.recipe import load_recipe


def start(recipe, line="", step=None, run_dir=None):
    """A start of the recipe, which leaves its config and a checkpoint of `step`; returns the decision before."""
    loaded = load_recipe(recipe, line.split())
    decision = decide_folder(loaded, run_dir)
    decision.folder.write_config(loaded.to_json(), loaded.source)
    if step is not None:
        (decision.folder.checkpoints / str(step)).mkdir(parents=True)
    return decision


def test_a_free_default_folder(recipe, tmp_path):
    decision = start(recipe, step=None)
    assert (decision.folder.path, decision.state, decision.saved) == (tmp_path / "runs/tiny", "free", None)
    assert decision.folder.recipe.read_text() == recipe.read_text()
    assert sorted(p.name for p in decision.folder.path.iterdir()) == ["config.json", "recipe.py"]


def test_deciding_writes_nothing(recipe, tmp_path):
    decide_folder(load_recipe(recipe))
    assert not (tmp_path / "runs").exists()


def test_without_a_checkpoint_it_is_free(recipe):
    start(recipe, "--train.seed 1")
    assert (start(recipe).folder.path.name, start(recipe).state) == ("tiny", "free")


def test_the_same_run_goes_on_or_is_finished(recipe):
    start(recipe, "--train.steps 100", step=40)
    again = start(recipe, "--train.steps 100 --log.every 1")
    assert (again.state, again.step, again.folder.path.name) == ("continue", 40, "tiny")
    assert again.saved["train"]["steps"] == 100
    (again.folder.checkpoints / "100").mkdir()
    (again.folder.checkpoints / "200.orbax-checkpoint-tmp").mkdir()
    assert (start(recipe, "--train.steps 100").state, start(recipe, "--train.steps 100").step) == ("finished", 100)
    assert start(recipe, "--train.steps 101").state == "continue"


def test_another_run_takes_the_next_name(recipe):
    start(recipe, "--train.seed 1", step=1)
    start(recipe, "--train.seed 2", step=2)
    third = start(recipe, "--train.seed 3", step=3)
    assert (third.folder.path.name, third.state) == ("tiny-3", "free")
    assert [(path.name, str(found[0])) for path, found in third.passed] == [
        ("tiny", "train.seed: 1 there, 3 now"),
        ("tiny-2", "train.seed: 2 there, 3 now"),
    ]
    second = start(recipe, "--train.seed 2")
    assert (second.folder.path.name, second.state, second.step) == ("tiny-2", "continue", 2)


def test_an_explicit_folder_is_refused_with_the_difference(recipe, tmp_path):
    start(recipe, step=1, run_dir=Path("mine"))
    with pytest.raises(ConfigError) as error:
        start(recipe, "--train.seed 3 --data.seq-len 8", run_dir=Path("mine"))
    assert str(error.value) == (
        "--run-dir: mine holds another run: data.seq_len: 16 there, 8 now; train.seed: 0 there, 3 now. "
        "Give another folder, take the change back, or delete that one."
    )
    assert start(recipe, run_dir=Path("mine")).state == "continue"


def test_a_runs_own_config_names_its_folder(recipe, tmp_path):
    start(recipe, step=1, run_dir=Path("mine"))
    decision = decide_folder(load_recipe("mine/config.json", ["--train.steps", "7"]))
    assert (decision.folder.path, decision.state) == (tmp_path / "mine", "continue")


def test_the_data_take_part_by_the_callers_word(recipe):
    start(recipe, step=1)
    loaded = load_recipe(recipe)
    moved = decide_folder(loaded, also=lambda folder: [Difference("data.digest", "a", "b")] if folder.last_step() else [])
    assert (moved.folder.path.name, str(moved.passed[0][1][0])) == ("tiny-2", "data.digest: 'a' there, 'b' now")
    assert decide_folder(loaded, also=lambda folder: []).folder.path.name == "tiny"


def test_an_edited_recipe_is_another_run_only_where_its_classes_are_held(recipe):
    start(recipe, "--own", step=1, run_dir=Path("own"))
    start(recipe, step=1, run_dir=Path("plain"))
    recipe.write_text(recipe.read_text() + "\n# edited\n")
    assert start(recipe, run_dir=Path("plain")).state == "continue"
    with pytest.raises(ConfigError, match=r"own holds another run: recipe.py: 'sha256 [0-9a-f]{12}' there, 'sha256"):
        start(recipe, "--own", run_dir=Path("own"))


def test_what_is_no_run_folder(recipe, tmp_path):
    Path("file").write_text("")
    with pytest.raises(ConfigError, match=r"^--run-dir: .*/file is a file. Give a folder.$"):
        start(recipe, run_dir=Path("file"))
    (tmp_path / "odd/checkpoints/3").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"odd holds checkpoints but no config.json. Give another folder.$"):
        start(recipe, run_dir=Path("odd"))


HOLD = """
import sys, time
from pathlib import Path
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import lock_folder
with lock_folder(RunFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds runs/tiny."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(p).absolute()) for p in sys.path)))}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "runs/tiny")], stdout=subprocess.PIPE, text=True, env=env
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_two_runs_in_one_folder(recipe, holder):
    folder = RunFolder(Path("runs/tiny").absolute())
    loaded = load_recipe(recipe)
    folder.write_config(loaded.to_json(), loaded.source)
    words = (
        f"{folder.path}: two runs in one folder: process {holder.pid} works there. Wait for it, stop it, or give another --run-dir."
    )
    for attempt in (lambda: decide_folder(loaded), lambda: lock_folder(folder).__enter__()):
        with pytest.raises(RunError) as error:
            attempt()
        assert str(error.value) == words
    other = decide_folder(load_recipe(recipe, ["--train.seed", "1"]))
    assert other.folder.path.name == "tiny-2"  # though nothing is saved in tiny yet


def test_the_lock_dies_with_its_process(recipe, holder):
    folder = RunFolder(Path("runs/tiny").absolute())
    assert is_used(folder)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not is_used(folder)
    with lock_folder(folder):
        assert is_used(folder)
        assert folder.lock.read_text() == f"{os.getpid()}\n"
        assert ending(folder) is None
    assert not is_used(folder)
    assert ending(folder) == ("finished", "")


def test_one_who_is_refused_leaves_the_lock_as_it_is(holder, tmp_path):
    folder = RunFolder(tmp_path / "runs/tiny")
    with pytest.raises(RunError), lock_folder(folder):
        pass
    assert folder.lock.read_text() == f"{holder.pid}\n"
