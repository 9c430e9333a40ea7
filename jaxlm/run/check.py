"""Names and types of a config's values: one check for flags, JSON and what a recipe returns.

A key is the path of a value in the config, as flags spell it but with underscores: `data.sources.0.path`.
"""

import collections.abc
import dataclasses
import numbers
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from jaxlm.core import ConfigError, UserError
from jaxlm.core.errors import nearest
from jaxlm.core.paths import to_path


def is_value(value: Any) -> bool:
    """True for an instance of a dataclass: a part of the config that has fields of its own."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def hints(cls: Any) -> dict[str, Any]:
    """Name -> type of each field that the constructor takes, in order.

    Raises:
      ConfigError: an annotation names something that its file does not hold.
    """
    try:
        types_of = get_type_hints(cls)
    except Exception as error:
        raise ConfigError(
            f"{cls.__qualname__}: the type of a field cannot be read ({error}). Import the name at the top of the file, "
            "outside `if TYPE_CHECKING`."
        ) from error
    return {field.name: types_of[field.name] for field in dataclasses.fields(cls) if field.init}


def require_names(given: Iterable[str], allowed: Iterable[str], key: str, of: str) -> None:
    """Raises ConfigError for the first of `given` that is not in `allowed`; `of` says whose names they are."""
    allowed = list(allowed)
    for name in given:
        if name not in allowed:
            raise ConfigError(f"{join(key, name)}: {of} has no {name!r}.{nearest(name, allowed)}")


def fit(value: Any, allowed: Any, key: str, *, of_recipe: bool = True) -> Any:
    """`value` as the type `allowed` has it: a list becomes a tuple, an int a float, a string a Path, which is made absolute.

    Args:
      of_recipe: the message says how a recipe or a flag sets it.

    Raises:
      ConfigError: the value is of another type; the message names key, value and what is allowed.
    """
    fitted = _fit(value, allowed, key)
    if fitted is _MISFIT:
        choices = [str(c) for c in get_args(allowed)] if get_origin(allowed) is Literal else []
        hint = nearest(value, choices) if isinstance(value, str) and choices else ""
        if "Did you mean" not in hint and of_recipe:
            flag = re.sub(r"(\.\d+)+$", "", key).replace("_", "-")  # a tuple is given as a whole
            on_line = f" or with --{flag} VALUE" if any(map(_is_leaf_type, members(allowed))) else ""
            hint = f" Set it in the recipe{on_line}."
        raise ConfigError(f"{key}: {show(value)} was given, {describe(allowed)} is allowed.{hint}")
    return fitted


def fit_fields(value: Any, key: str = "") -> Any:
    """A dataclass value whose fields, at every depth, fit their annotations. Raises ConfigError as `fit` does."""
    changed = {}
    for name, allowed in hints(type(value)).items():
        old = getattr(value, name)
        new = fit(old, allowed, join(key, name))
        if new is not old:
            changed[name] = new
    return construct(lambda: dataclasses.replace(value, **changed), key) if changed else value


def construct(make: Callable[[], Any], key: str) -> Any:
    """`make()`; what a constructor has against its arguments becomes a ConfigError that names `key`."""
    try:
        return make()
    except UserError as error:
        text = str(error)
        raise ConfigError(text if not key or text.startswith(key) else f"{key}: {text}") from error
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, AssertionError, OSError) as error:
        raise ConfigError(f"{key or 'config'}: {error or type(error).__name__}") from error


def join(key: str, name: str | int) -> str:
    """The key of a part."""
    return f"{key}.{name}" if key else str(name)


def as_path(given: str | PurePath, key: str) -> Path:
    """The absolute path, `~` replaced, or one of an object store. Raises ConfigError for what can be none: too long a name, the
    home of nobody, a store that is not known."""
    try:
        path = to_path(given, key)
        too_long = [part for part in path.parts if len(os.fsencode(part)) > _LONGEST_NAME]
        problem = f"a name in it is longer than {_LONGEST_NAME} bytes" if too_long else "a zero byte is in it" * ("\0" in str(path))
    except (RuntimeError, ValueError, OSError) as error:
        problem = str(error).rstrip(".")
    if problem:
        raise ConfigError(f"{key}: {show(str(given))} is no path: {problem}. Give another.")
    return path


def members(allowed: Any) -> tuple[Any, ...]:
    """The types of a union; of any other type, itself alone."""
    if get_origin(allowed) is Annotated:
        return members(get_args(allowed)[0])
    return get_args(allowed) if get_origin(allowed) in (Union, types.UnionType) else (allowed,)


def describe(allowed: Any) -> str:
    """A type in words: `int or None`, `'a' or 'b'`, `several of float`."""
    names = []
    for member in members(allowed):
        origin, args = get_origin(member), get_args(member)
        if member is type(None):
            names.append("None")
        elif origin is Literal:
            names += [repr(choice) for choice in args]
        elif origin is tuple:
            names.append(f"several of {describe(args[0])}" if args[1:] == (...,) else f"{len(args)} values")
        else:
            names.append(getattr(origin or member, "__name__", str(member)))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


_MISFIT = object()
_LONGEST_NAME = 255
_MAPPINGS = (dict, collections.abc.Mapping)


def _fit(value: Any, allowed: Any, key: str) -> Any:
    """The fitted value, or _MISFIT; parts report themselves."""
    union = members(allowed)
    if len(union) > 1:
        # The member that is exactly the value's type comes first: 3 for `float | int` stays an int. A string where a
        # path is allowed is a path, or it would mean another file when the run goes on from another folder.
        first = Path if isinstance(value, str) and Path in union else type(value)
        tried = (_fit(value, member, key) for member in sorted(union, key=lambda member: member is not first))
        return next((fitted for fitted in tried if fitted is not _MISFIT), _MISFIT)
    member = union[0]
    origin, args = get_origin(member), get_args(member)
    if is_value(value):
        base = origin or member
        return fit_fields(value, key) if not _is_leaf_type(base) and _isinstance(value, base) else _MISFIT
    if origin is Literal:
        return value if any(value == choice and type(value) is type(choice) for choice in args) else _MISFIT
    if origin is tuple or member is tuple:
        return _fit_tuple(value, args, key)
    if origin in _MAPPINGS or member in _MAPPINGS:
        if not isinstance(value, Mapping):
            return _MISFIT
        of_keys, of_values = args or (Any, Any)
        return {fit(k, of_keys, key): fit(v, of_values, join(key, k)) for k, v in value.items()}
    if member is Path:
        return as_path(value, key) if isinstance(value, str | PurePath) else _MISFIT
    return _fit_leaf(value, origin or member)


def _fit_tuple(value: Any, args: tuple[Any, ...], key: str) -> Any:
    if not isinstance(value, tuple | list):
        return _MISFIT
    if not args or args[1:] == (...,):
        args = (args[0] if args else Any,) * len(value)
    if len(args) != len(value):
        return _MISFIT
    fitted = tuple(fit(v, a, join(key, i)) for i, (v, a) in enumerate(zip(value, args, strict=True)))
    return value if isinstance(value, tuple) and all(a is b for a, b in zip(value, fitted, strict=True)) else fitted


def _fit_leaf(value: Any, member: Any) -> Any:
    if member in (None, type(None)):
        return value if value is None else _MISFIT
    if member is bool:
        return value if isinstance(value, bool) else _MISFIT
    if member is int:
        return int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else _MISFIT
    if member is float:
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        return float(value) if number and value == value else _MISFIT  # NaN is no setting
    return value if _isinstance(value, member) else _MISFIT


def _is_leaf_type(member: Any) -> bool:
    plain = (None, type(None), bool, int, float, str, Path, tuple, Literal, *_MAPPINGS)
    return (get_origin(member) or member) in plain


def _isinstance(value: Any, member: Any) -> bool:
    if member is Any or isinstance(member, TypeVar) or not isinstance(member, type):
        return True
    try:
        return isinstance(value, member)
    except TypeError:  # a Protocol that is not runtime_checkable
        return True


def kind(value: Any) -> str:
    """A value with its class before it, for messages."""
    return f"{type(value).__name__} {show(value)}"


def show(value: Any) -> str:
    """Its `repr`, shortened; its class where that fails, as of an int of 5,000 digits."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."
