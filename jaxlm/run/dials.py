"""The dials of a recipe: the keyword-only arguments of its `config` function."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from jaxlm.core import ConfigError
from jaxlm.run.check import fit, require_names
from jaxlm.run.overrides import Flag, read

COMMAND_FLAGS = ("help", "json", "trust", "run_dir", "from")
"""Flags of the commands that take a RECIPE: no dial may bear their names."""


def dial_types(config: Callable[..., Any], where: str) -> dict[str, Any]:
    """Name -> type of each dial.

    Raises:
      ConfigError: `config` takes other arguments, a dial bears the name of a command's flag, or a type cannot be read.
    """
    try:
        hints = get_type_hints(config)
    except Exception as error:
        raise ConfigError(f"{where}: the types of config()'s arguments cannot be read: {error}.") from error
    types = {}
    for name, parameter in inspect.signature(config).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            raise ConfigError(
                f"{where}: config() takes {name!r} by place; its arguments are dials, by name alone. "
                f"Write def config(*, {name.lstrip('*')}...)."
            )
        if name in COMMAND_FLAGS:
            raise ConfigError(f"{where}: dial {name!r} bears the name of a flag that the commands have. Rename it.")
        default = parameter.default
        guess = Any if default is None or default is parameter.empty else type(default)
        types[name] = hints.get(name, guess)
    return types


def read_dials(types: Mapping[str, Any], flags: Sequence[Flag]) -> tuple[dict[str, Any], list[Flag]]:
    """The dials that these flags set, and the flags that are none (overrides of the config).

    Raises:
      ConfigError: a value of a wrong type.
    """
    dials: dict[str, Any] = {}
    others: list[Flag] = []
    for flag in flags:
        negated = flag.key.removeprefix("no_")
        if flag.key in types:
            dials[flag.key] = fit(read(flag.words, types[flag.key], flag.typed), types[flag.key], flag.key)
        elif negated in types and types[negated] is bool and not flag.words:
            dials[negated] = False
        else:
            others.append(flag)
    return dials, others


def check_dials(config: Callable[..., Any], types: Mapping[str, Any], dials: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The dials with their values fitted to their types.

    Raises:
      ConfigError: an unknown dial, a value of a wrong type, or one without a default that is not given.
    """
    require_names(dials, types, "", f"config() of {where}")
    for name, parameter in inspect.signature(config).parameters.items():
        if parameter.default is parameter.empty and name not in dials:
            raise ConfigError(f"{name}: {where} needs it and has no default. Give --{name.replace('_', '-')} VALUE.")
    return {name: fit(value, types[name], name) for name, value in dials.items()}
