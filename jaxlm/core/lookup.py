"""Things found by name: tables of `"module:attr"` strings, greppable and lazy."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from jaxlm.core.errors import ConfigError, nearest


def load(target: str) -> Any:
    """The object that `"package.module:attr"` names."""
    module, _, attr = target.partition(":")
    return getattr(import_module(module), attr)


def choose(table: Mapping[str, str], name: str, key: str) -> Any:
    """The object that `table` holds under `name`.

    Raises:
      ConfigError: `name` is not in the table; the message names `key` and the nearest entries.
    """
    if name not in table:
        raise ConfigError(f"{key}: {name!r} is unknown.{nearest(name, table)}")
    return load(table[name])
