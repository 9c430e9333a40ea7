"""2,000 generated command lines, recipes and run folders: each ends in words of ours, whatever they hold."""

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_input import AT_RECIPES, AT_RUNS, broken_files, lines, recipe_text, recipes

from jaxlm.cli.main import main
from jaxlm.laws import table
from jaxlm.run import api
from jaxlm.run.recipe import load_recipe
from jaxlm.tokenizer import Bytes


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """The current folder, with a recipe, a text, and a run whose checkpoint is empty."""
    folder = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JAXLM_CACHE", str(folder / "cache"))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setattr(api, "train", _not_to_be_reached)
        patch.setattr(api, "steps_within", _not_to_be_reached)
        patch.setattr(table, "LAWS", {"rows": table.LAWS["rows"]})  # what compiles is tested elsewhere
        Path("text.txt").write_text("".join(f"line {i} of {i * i}\n" for i in range(200)))
        Path("tiny.py").write_text(recipe_text())
        api.build_data(load_recipe("tiny.py"))
        Path("run/checkpoints/1").mkdir(parents=True)
        Path("run/config.json").write_text(json.dumps(load_recipe("tiny.py").to_json()))
        Bytes().train(lambda: ["a"]).save(Path("run/tokenizer"))
        yield folder


def _not_to_be_reached(*_: Any, **__: Any) -> None:
    raise AssertionError("a generated command line came to training")


WATCH: list[Path] = []
"""While it holds a folder, what is written outside it is an error."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not WATCH or event not in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.truncate"):
        return
    if event == "open" and not (isinstance(args[2], int) and args[2] & WRITES):
        return
    path = args[1] if event in ("os.rename", "os.symlink") else args[0]
    if isinstance(path, int) or path == os.devnull:
        return
    allowed = (WATCH[0], os.environ["JAX_COMPILATION_CACHE_DIR"])
    if not any(Path(os.path.abspath(os.fsdecode(path))).is_relative_to(folder) for folder in allowed):
        raise AssertionError(f"{event} of {path}, outside the folder of the test")


sys.addaudithook(_audit)


def ends_in_words(place: Path, words: Sequence[str]) -> None:
    """Runs the command; asserts that it ends with an exit code and a message of ours, and writes elsewhere nothing."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    WATCH.append(place)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    finally:
        WATCH.clear()
    err.flush()
    said = err.buffer.getvalue().decode()
    if "Traceback" in said or "a fault in jaxlm itself" in said:
        raise AssertionError(said)
    assert code in (0, 1, 2, 130)
    assert code == 0 or said.strip(), "an error without words"


def some(number: int) -> settings:
    """The same examples each time, however long they take."""
    return settings(max_examples=number, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@some(1000)
@given(line=lines())
def test_command_lines(place, line):
    ends_in_words(place, line)


@some(600)
@given(text=recipes(), line=st.sampled_from(AT_RECIPES))
def test_recipes(place, text, line):
    Path("odd.py").write_text(text, encoding="utf-8")
    ends_in_words(place, line.split())


@some(400)
@given(file=broken_files(), line=st.sampled_from(AT_RUNS))
def test_run_folders(place, file, line):
    shutil.rmtree("broken", ignore_errors=True)
    shutil.copytree("run", "broken")
    Path("broken", file[0]).write_bytes(file[1])
    ends_in_words(place, line.split())
