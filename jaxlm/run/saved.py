"""A run's config.json, read back, whole or by its groups."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlm.core import ConfigError
from jaxlm.core.paths import read_whole
from jaxlm.run.source import load_source
from jaxlm.run.values import RECIPE, from_json, require_format

if TYPE_CHECKING:
    from jaxlm.run.config import RunConfig


def read_json(path: Path) -> dict[str, Any]:
    """The JSON of one of a run's files. Raises ConfigError where it is none."""
    try:
        node = json.loads(read_whole(path).decode("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}. Give a {path.name} that jaxlm wrote.") from error
    if not isinstance(node, dict):
        raise ConfigError(f"{path}: holds {type(node).__name__}, not a config. Give a {path.name} that jaxlm wrote.")
    return node


def read_config(path: Path, *, trust: bool = False) -> "RunConfig":
    """The whole config.

    Args:
      trust: run the recipe.py beside it where the config names its classes, and import other packages' too.

    Raises:
      ConfigError: as `from_json`.
    """
    from jaxlm.run.config import RunConfig

    node = read_json(path)
    return from_json(node, RunConfig, trust=trust, recipe=_own_names(path, node, trust), where=str(path))


def read_group(path: Path, group: str, allowed: type, *, trust: bool = False) -> Any:
    """One group alone ("model", "tokenizer"): what the others hold need be neither known nor trusted.

    Raises:
      ConfigError: as `from_json`.
    """
    node = read_json(path)
    require_format(node, str(path))
    part = node.get(group)
    if not isinstance(part, dict):
        raise ConfigError(f"{group}: missing in {path}. Give a config.json that jaxlm wrote.")
    names = _own_names(path, part, trust)
    return from_json(part, allowed, key=group, trust=trust, recipe=names, where=str(path))


def read_data(path: Path) -> dict[str, Any]:
    """A run's data.json: `digest` of its tokens, `from`, the run that it began with, `tokenizer`, its digest, and `reading`,
    the fields of `Reading`; both None in runs of before.

    Raises:
      ConfigError: it is broken.
    """
    node = {"tokenizer": None, "reading": None, **read_json(path)}
    for name, kind in {"digest": str, "from": str, "tokenizer": str, "reading": dict}.items():
        if not isinstance(node.get(name, 0), kind | None):
            raise ConfigError(f"{path}: {name} is missing or broken. Give a {path.name} that jaxlm wrote.")
    return node


def recipe_beside(path: Path) -> Path:
    """Where a run keeps the source of its recipe."""
    return path.with_name("recipe.py")


def holds_own(node: Any) -> bool:
    """Whether a config in JSON names classes of its recipe: then the recipe's source is part of the config."""
    if isinstance(node, Mapping):
        return str(node.get("type")).startswith(f"{RECIPE}:") or any(map(holds_own, node.values()))
    return isinstance(node, list) and any(map(holds_own, node))


def needs_trust(node: Any) -> bool:
    """Whether a config in JSON names classes that are not jaxlm's own."""
    if isinstance(node, Mapping):
        return not str(node.get("type", "jaxlm.")).startswith("jaxlm.") or any(map(needs_trust, node.values()))
    return isinstance(node, list) and any(map(needs_trust, node))


def _own_names(path: Path, node: Any, trust: bool) -> Mapping[str, Any] | None:
    beside = recipe_beside(path)
    return vars(load_source(beside).module) if trust and holds_own(node) and beside.is_file() else None
