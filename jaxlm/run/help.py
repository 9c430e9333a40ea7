"""What `--help` prints of dials, fields and a command's own arguments: names, types, defaults and meanings, by tyro."""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Callable
from typing import Any

import tyro
from tyro.constructors import ConstructorRegistry, StructTypeInfo

_BY_VALUE = ConstructorRegistry()


@_BY_VALUE.struct_rule
def _class_of_default(info: StructTypeInfo) -> Any:
    """The class of the value decides which flags there are, not the type that its field allows."""
    value = info.default
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and info.type is not type(value):
        return ConstructorRegistry.get_struct_spec(StructTypeInfo.make(type(value), value, info.in_union_context))
    return None


def fields_help(config: Any, title: str) -> str:
    """All flags of a config's fields."""
    return _help(type(config), title, default=config)


def dials_help(function: Callable[..., Any], title: str) -> str:
    """The flags of a recipe's dials; meanings come from the docstring's `Args:`."""
    return _help(function, title)


def arguments_help(arguments: type, title: str) -> str:
    """The flags of a command."""
    return _help(arguments, title)


def _help(of: Any, title: str, **given: Any) -> str:
    text, refused = io.StringIO(), io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(refused),
            contextlib.suppress(SystemExit),
            warnings.catch_warnings(action="ignore"),
        ):
            tyro.cli(
                of,
                args=["--help"],
                description=title,
                registry=_BY_VALUE,
                config=(tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed),
                **given,
            )
    except Exception as error:  # a default that is not of the type that is said
        text, refused = io.StringIO(), io.StringIO(f"{type(error).__name__}: {error}")
    _, _, body = text.getvalue().partition("\n\n")  # without tyro's usage line: the command has its own
    if refused.getvalue():
        advice = "They cannot be shown. Give each a type that a flag can have, and a default of that type."
        body = f"{title}\n\n{advice}\n{refused.getvalue()}"
    return body.strip("\n")
