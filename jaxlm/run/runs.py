"""The runs below a folder, read from what they left behind. Imports no jax, so that a table of them comes at once."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from jaxlm.core import ConfigError
from jaxlm.core.paths import absolute, read_whole, require_readable, resolved
from jaxlm.run.difference import differences
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import FINISHED, STOPPED, ending, is_used
from jaxlm.run.saved import holds_own, read_json
from jaxlm.run.values import require_format

RUNNING = "running"

INNER = ("checkpoints", "tokenizer", "tensorboard")
"""Folders of a run, where no other runs are sought."""


@dataclass(frozen=True)
class FoundRun:
    """A run as it stands."""

    name: str
    """Its folder, as seen from where it was sought."""
    folder: RunFolder
    config: Mapping[str, Any]
    """In JSON."""
    model: str
    """Its shape."""
    objective: str
    """The name of its class."""
    seed: int
    metrics: Mapping[str, float]
    """The newest value of each; `step` is that of the newest line."""
    state: str
    """running, finished, stopped or failed."""
    reason: str = ""
    """Why it failed."""

    @property
    def step(self) -> int:
        return int(self.metrics.get("step", 0))

    @property
    def bits(self) -> str | None:
        """The key of its bits per byte; None: it has none yet."""
        return next((key for key in self.metrics if key.startswith("eval/bits_per_")), None)


class Refused(NamedTuple):
    """A folder that looks like a run and is none, or cannot be read."""

    name: str
    reason: str


class Spread(NamedTuple):
    """Of one metric over the runs of a group."""

    mean: float
    deviation: float
    """Of the sample: divided by their number less one."""


def find_runs(where: Path) -> tuple[list[FoundRun], list[Refused]]:
    """The runs at and below a folder, at any depth, by name, and what looks like one and is none.

    Raises:
      ConfigError: there is no such folder.
    """
    require_readable(where, "DIR")
    if not where.is_dir():
        what = "is a file" if where.exists() else "does not exist"
        raise ConfigError(f"DIR: {where} {what}. Give the folder that your runs lie in; `jaxlm train` makes them in runs.")
    found = sorted(_search(where, where, set()), key=lambda each: each.name)
    return [f for f in found if isinstance(f, FoundRun)], [f for f in found if isinstance(f, Refused)]


def groups(runs: Sequence[FoundRun]) -> list[list[FoundRun]]:
    """Finished runs of the same step, text and config that differ in `train.seed` alone, two and more, one of each seed."""
    found: dict[tuple, list[list[FoundRun]]] = {}
    for run in runs:
        if run.state == FINISHED:
            alike = found.setdefault(_identity(run), [])
            group = next((g for g in alike if _differ_in_seed(g[0], run)), None)
            if group is None:
                alike.append([run])
            elif run.seed not in [r.seed for r in group]:
                group.append(run)
    return [group for alike in found.values() for group in alike if len(group) > 1]


def spread(group: Sequence[FoundRun], key: str) -> Spread | None:
    """Mean and deviation of a metric; None where a run of the group lacks it."""
    values = [run.metrics[key] for run in group if key in run.metrics]
    return Spread(mean(values), stdev(values)) if len(values) == len(group) else None


def shape(model: Mapping[str, Any]) -> str:
    """A transformer in short: which way it looks, layers x width, `causal 4x128`; a pair as its discriminator and, after a
    plus, its generator; a model of another class: its name.

    A config holds the layers and not the family that made them, and families may share a shape: so none is claimed.
    """
    if {"generator", "discriminator"} <= model.keys():
        return f"{shape(model['discriminator'])} + {shape(model['generator']).split()[-1]}"
    try:
        causal = {block["attention"]["causal"] for stack in model["decoder"] for block in stack["pattern"]}
        layers = sum(len(stack["pattern"]) * stack["repeats"] for stack in model["decoder"])
        looks = "mixed" if len(causal) > 1 else "causal" if causal.pop() else "bidirectional"
        return f"{looks} {layers}x{model.get('width') or model['embed']['embed_dim']}"
    except (KeyError, TypeError):
        return _class(model)


def _search(path: Path, top: Path, seen: set[Path]) -> Iterator[FoundRun | Refused]:
    """What `path` is, if it is anything, and what lies below it, unless it is a run."""
    name = path.relative_to(top).as_posix() if path != top else absolute(path).name
    try:
        if resolved(path) in seen:  # links may lead in circles
            return
        seen.add(resolved(path))
        inner = {child.name for child in path.iterdir()}
        if "config.json" in inner:
            yield _read(name, RunFolder(path))
            return
        if inner & {"checkpoints", "metrics.jsonl"}:
            yield Refused(name, "no config.json: not a run, or what is left of one")
    except ConfigError as error:
        yield Refused(name, str(error))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        yield Refused(name, f"{type(error).__name__}: {error}")
        return
    for child in sorted(inner.difference(INNER)):
        if not child.startswith(".") and (path / child).is_dir():
            yield from _search(path / child, top, seen)


def _read(name: str, folder: RunFolder) -> FoundRun:
    config = read_json(folder.config)
    if not {"model", "objective", "train"} <= config.keys():
        raise ConfigError(f"{folder.config}: not a run's: it has no model, objective and train")
    require_format(config, str(folder.config))
    summary = read_json(folder.summary) if folder.summary.is_file() else {}
    metrics = _newest(folder.metrics) or {key: value for key, value in summary.items() if _is_number(value)}
    about = shape(config["model"]), _class(config["objective"]), config["train"]["seed"]
    return FoundRun(name, folder, config, *about, metrics, *_state(folder, config, summary))


def _state(folder: RunFolder, config: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, str]:
    """How it stands, and why where it failed. Who was killed, or interrupted before the end, is stopped."""
    if is_used(folder):
        return RUNNING, ""
    ended = ending(folder)
    if ended is not None and ended[0] != STOPPED:
        return ended
    through = summary.get("state") == FINISHED and summary["step"] >= config["train"]["steps"]
    return (FINISHED if through else STOPPED), ""


def _newest(path: Path) -> dict[str, float]:
    """The newest line of metrics.jsonl, and what the newest evaluation added; {}: there is none."""
    if not path.is_file():
        return {}
    data = read_whole(path)
    data = data[: data.rfind(b"\n") + 1]  # a line that is being written, or was cut short, does not count
    lines = (data[data.rfind(b"\n", 0, end) + 1 : end] for end in (data.find(b"\n", data.rfind(b'"eval/loss"')), len(data) - 1))
    found: dict[str, float] = {}
    for line in lines:
        found |= {key: value for key, value in json.loads(line or b"{}").items() if _is_number(value)}
    return found


def _identity(run: FoundRun) -> tuple:
    """What two runs must share to be compared at all: what is dear to compare comes after."""
    data = read_json(run.folder.data) if run.folder.data.is_file() else {}
    own = holds_own(run.config) and run.folder.recipe.is_file()
    source = hashlib.sha256(run.folder.recipe.read_bytes()).hexdigest() if own else None
    return run.step, run.objective, run.model, data.get("digest"), data.get("from"), source


def _differ_in_seed(one: FoundRun, other: FoundRun) -> bool:
    return {difference.key for difference in differences(one.config, other.config)} <= {"train.seed"}


def _class(node: Mapping[str, Any]) -> str:
    return node["type"].rpartition(":")[2]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
