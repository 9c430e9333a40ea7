"""The files of a run folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlm.core.paths import is_remote, write_whole

FILES = {
    "config.json": "the config as it is trained, `optimizer.steps` filled in; itself a RECIPE",
    "recipe.py": "the source of the recipe; absent where the config was made in Python or read from JSON alone",
    "data.json": "the token store, digests of its tokens and of the tokenizer, the run whose weights this one began with, how "
    "texts are given to the model",
    "tokenizer/": "the tokenizer, as `jaxlm tokenizer show` reads it",
    "checkpoints/STEP/": "the state after a step: parameters, optimizer, position in the data, config and digests, by Orbax",
    "metrics.jsonl": "a JSON object a line, flushed: `step` and the metrics of every `log.every`-th step and the last",
    "summary.json": "`state` (finished, stopped), `step` and the last metrics; written where a run ends or is stopped",
    "tensorboard/": "the same metrics as event files, where `log.tensorboard` asks for them",
    "lock": "held while a process works there, with its id; then how it ended: finished, stopped, or failed: and why",
}
"""What a run folder holds, each with what it is."""

COMMITTED = "commit_success.txt"
"""What Orbax writes last to a checkpoint."""


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
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    def last_step(self) -> int | None:
        """The newest step whose checkpoint stands; None: there is none."""
        found = [path for path in self.checkpoints.iterdir() if path.name.isdecimal()] if self.checkpoints.is_dir() else []
        return max((int(path.name) for path in found if _is_saved(path)), default=None)

    def write_config(self, node: Mapping[str, Any], source: str | None) -> None:
        """Writes config.json and, where there is a recipe, recipe.py; each appears whole or not at all."""
        if source is not None:
            write_whole(self.recipe, source)
        write_whole(self.config, json.dumps(node, indent=1) + "\n")

    def write_data(self, node: Mapping[str, Any]) -> None:
        """Writes data.json; it appears whole or not at all."""
        write_whole(self.data, json.dumps(node, indent=1) + "\n")


def _is_saved(checkpoint: Path) -> bool:
    """Where folders can be renamed, one that has a step for its name; in an object store it needs Orbax's word that it is whole."""
    return (checkpoint / COMMITTED).is_file() if is_remote(checkpoint) else checkpoint.is_dir()
