"""Run folders: where a run lives, who works in it, and whether it goes on.

config.json  data.json  recipe.py  tokenizer/  checkpoints/STEP/  metrics.jsonl  summary.json  tensorboard/  lock
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxlm.core import ConfigError, RunError
from jaxlm.run.config import planned_steps
from jaxlm.run.difference import Difference, differences
from jaxlm.run.recipe import Recipe
from jaxlm.run.saved import holds_own, read_json
from jaxlm.run.values import require_format

RUNS = Path("runs")
"""Where default run folders are made, in the current folder."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.py"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    def last_step(self) -> int | None:
        """The newest step whose checkpoint stands; None: there is none."""
        names = [p.name for p in self.checkpoints.iterdir() if p.is_dir()] if self.checkpoints.is_dir() else []
        return max((int(name) for name in names if name.isdecimal()), default=None)

    def write_config(self, node: Mapping[str, Any], source: str | None) -> None:
        """Writes config.json and, where there is a recipe, recipe.py; each appears whole or not at all."""
        self.path.mkdir(parents=True, exist_ok=True)
        if source is not None:
            _write(self.recipe, source)
        _write(self.config, json.dumps(node, indent=1) + "\n")

    def write_data(self, node: Mapping[str, Any]) -> None:
        """Writes data.json; it appears whole or not at all."""
        _write(self.data, json.dumps(node, indent=1) + "\n")


@dataclass(frozen=True)
class Decision:
    """What a start means for a folder."""

    folder: RunFolder
    state: Literal["free", "continue", "finished"]
    """free: nothing is saved there, the run begins at step 0; finished: its last step is saved already."""
    step: int = 0
    """The step that it goes on from."""
    saved: Mapping[str, Any] | None = None
    """The config that the folder holds, in JSON; None where it is free."""
    passed: tuple[tuple[Path, tuple[Difference, ...]], ...] = ()
    """Default folders that hold another run, and in what they differ: for the line that says why this is NAME-2."""


def decide_folder(
    recipe: Recipe, run_dir: Path | None = None, *, also: Callable[[RunFolder], Iterable[Difference]] = lambda folder: ()
) -> Decision:
    """The folder of this run, and whether it begins, goes on or is finished. Reads files; writes none.

    Args:
      recipe: its config decides; its name makes the default, `runs/NAME`, then NAME-2, NAME-3 ...
      run_dir: the folder that the user named; a run's own config.json names its folder too.
      also: what else differs between this start and a folder that holds a checkpoint: the data's digest.

    Raises:
      ConfigError: `run_dir` holds another run (the message has the difference), or is no folder.
      RunError: another process works there on the same run; the message has its id.
    """
    named = run_dir or recipe.run_dir
    passed: list[tuple[Path, tuple[Difference, ...]]] = []
    node = recipe.to_json()
    for path in [named] if named else _defaults(recipe.name):
        folder = RunFolder(path.expanduser().absolute())
        saved, found = _compare(folder, node, recipe.digest, also)
        if not found:
            _refuse_if_used(folder)
            if saved is None:
                return Decision(folder, "free", passed=tuple(passed))
            step = folder.last_step() or 0
            finished = step >= planned_steps(recipe.config, saved)
            return Decision(folder, "finished" if finished else "continue", step, saved, tuple(passed))
        if named:
            raise ConfigError(
                f"{'--run-dir' if run_dir else 'RECIPE'}: {path} holds another run: {'; '.join(map(str, found))}. "
                "Give another folder, take the change back, or delete that one."
            )
        passed.append((path, tuple(found)))
    raise AssertionError("default names have no end")


@contextmanager
def lock_folder(folder: RunFolder) -> Iterator[None]:
    """Holds the folder for this process, until it is left or the process dies, however that happens.

    Raises:
      RunError: another process holds it; the message has its id.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(f"--run-dir: {folder.path} cannot be written: {error.strerror}. Give a folder that can.") from error
    try:
        _flock(handle, folder)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)  # and the lock with it; the file stays, or two processes could lock two files of one name


def _flock(handle: int, folder: RunFolder) -> None:
    for patience in (0.05, 0.1, 0):  # another process may be looking, for an instant, whether the folder is in use
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not patience:
                raise _in_use(folder) from error
            time.sleep(patience)


def is_used(folder: RunFolder) -> bool:
    """Whether a process holds the folder."""
    if not folder.lock.is_file():
        return False
    with folder.lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _defaults(name: str) -> Iterator[Path]:
    yield RUNS / name
    number = 2
    while True:
        yield RUNS / f"{name}-{number}"
        number += 1


def _compare(
    folder: RunFolder, node: Mapping[str, Any], digest: str | None, also: Callable[[RunFolder], Iterable[Difference]]
) -> tuple[Mapping[str, Any] | None, list[Difference]]:
    """The config that the folder holds, None where nothing of worth is there, and in what it differs."""
    if folder.path.exists() and not folder.path.is_dir():
        raise ConfigError(f"--run-dir: {folder.path} is a file. Give a folder.")
    step = folder.last_step()
    if not folder.config.is_file():
        if step is not None:
            raise ConfigError(f"--run-dir: {folder.path} holds checkpoints but no config.json. Give another folder.")
        return None, []
    saved = read_json(folder.config)
    if "format" not in saved:
        raise ConfigError(f"--run-dir: {folder.config} is no run's. Give another folder.")
    require_format(saved, str(folder.config))
    if step is None and not is_used(folder):
        return None, []
    found = differences(saved, node)
    if holds_own(node) and not found:
        old = hashlib.sha256(folder.recipe.read_bytes()).hexdigest() if folder.recipe.is_file() else None
        if old != digest:
            found.append(Difference("recipe.py", f"sha256 {str(old)[:12]}", f"sha256 {str(digest)[:12]}"))
    if not found and step is not None:
        found += also(folder)
    return (saved if step is not None else None), found


def _refuse_if_used(folder: RunFolder) -> None:
    if is_used(folder):
        raise _in_use(folder)


def _in_use(folder: RunFolder) -> RunError:
    pid = folder.lock.read_text().strip() or "unknown"
    return RunError(
        f"{folder.path}: two runs in one folder: process {pid} works there. Wait for it, stop it, or give another --run-dir."
    )


def _write(path: Path, text: str) -> None:
    whole = path.with_name(f".{path.name}.new")
    whole.write_text(text, encoding="utf-8")
    whole.replace(path)
