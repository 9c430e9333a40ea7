"""The files of a run folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def _write(path: Path, text: str) -> None:
    whole = path.with_name(f".{path.name}.new")
    whole.write_text(text, encoding="utf-8")
    whole.replace(path)
