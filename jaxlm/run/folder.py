"""Where a run lives, and whether it begins there, goes on or is finished."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxlm.core import ConfigError
from jaxlm.core.paths import is_file, require_readable
from jaxlm.run.check import as_path
from jaxlm.run.config import planned_steps
from jaxlm.run.difference import Difference, differences
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import is_used, refuse_if_used
from jaxlm.run.recipe import Recipe
from jaxlm.run.saved import holds_own, read_json
from jaxlm.run.values import require_format

RUNS = Path("runs")
"""Where default run folders are made, in the current folder."""


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
        folder = RunFolder(as_path(path, "--run-dir"))
        require_readable(folder.path, "--run-dir")
        saved, found = _compare(folder, node, recipe.digest, also)
        if not found:
            refuse_if_used(folder)
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
    if is_file(folder.path):
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
