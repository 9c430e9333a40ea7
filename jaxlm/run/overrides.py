"""Flags of the command line, laid over the values of a config.

`--group.field VALUE`, in kebab or snake case, with a blank or `=`; parts of tuples by their number
(`--data.sources.0.path`), a whole tuple by several values, one of tuples in JSON; `--flag`, `--no-flag` and
`--flag false` for bools; `None` where it is allowed. jaxlm reads the words itself, with the check that JSON passes too;
tyro prints the help.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

from jaxlm.core import ConfigError
from jaxlm.core.errors import nearest
from jaxlm.run.check import construct, describe, fit, hints, is_value, join, members


class Flag(NamedTuple):
    """One flag and the words after it."""

    key: str
    """In snake case, without dashes: `train.batch_size`."""
    words: tuple[str, ...]
    typed: str
    """As it was typed, for messages."""


def split_flags(words: Sequence[str]) -> list[Flag]:
    """Groups the words of a command line by the flags that they follow.

    Raises:
      ConfigError: words before the first flag, or a flag of one dash.
    """
    flags: list[Flag] = []
    for word in words:
        if is_flag(word):
            typed, equals, value = word.partition("=")
            flags.append(Flag(typed[2:].replace("-", "_"), (value,) if equals else (), typed))
        elif flags:
            flags[-1] = flags[-1]._replace(words=(*flags[-1].words, word))
        else:
            raise ConfigError(f"{word!r}: no flag stands before it. Allowed: --group.field VALUE.")
    return flags


def is_flag(word: str) -> bool:
    """True for `--x`; a negative number or a lone dash is a value."""
    return word.startswith("--") and len(word) > 2


def override(config: Any, flags: Sequence[Flag], also: Sequence[str] = ()) -> Any:
    """The config with the flags' values in it; parts that no flag names are the same objects.

    Args:
      config: a value that was checked (`fit_fields`).
      flags: the last of the same key wins.
      also: other flags that the command takes, for the nearest names of an unknown one.

    Raises:
      ConfigError: an unknown key (with the nearest ones), a value of a wrong type, what a constructor refuses.
    """
    known = dict(_nodes(config, Any, ""))
    tree: dict[str, Any] = {}
    for flag in flags:
        key, words = _resolve(flag, known, also)
        *groups, name = key.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
            if not isinstance(node, dict):
                raise ConfigError(f"{flag.typed}: the whole that it is a part of was set by another flag. Give one of the two.")
        if isinstance(node.get(name), dict):
            raise ConfigError(f"{flag.typed}: a part of it was set by another flag. Give one of the two.")
        node[name] = flag._replace(key=key, words=words)
    return _rebuild(config, Any, tree, "")


def keys(config: Any) -> list[str]:
    """All keys that a flag may name, parts and leaves."""
    return [key for key, _ in _nodes(config, Any, "")]


def read(words: Sequence[str], allowed: Any, typed: str, current: Any = None) -> Any:
    """What the words mean where `allowed` is allowed. Never raises for a wrong type: `fit` says that.

    Args:
      typed: the flag, for messages.
      current: the value now: its type decides where anything is allowed.

    Raises:
      ConfigError: no value, or several where one is allowed.
    """
    if allowed is Any and current is not None:
        allowed = type(current)
    options = members(allowed)
    items = next((get_args(m) or (str, ...) for m in options if get_origin(m) is tuple or m is tuple), None)
    if items and list(words) in ([], ["()"]):
        return ()
    if _nested(allowed):
        return _parsed(" ".join(words), typed)
    single = len(words) == 1 and any(get_origin(m) is not tuple and m not in (tuple, type(None)) for m in options)
    if items and not single and [w.lower() for w in words] != ["none"]:
        each = items[:1] * len(words) if items[1:] == (...,) else items
        return tuple(_word(w, each[i] if i < len(each) else str) for i, w in enumerate(words))
    if not words and bool in options:
        return True
    if len(words) != 1:
        given = " ".join(map(repr, words)) or "no value"
        raise ConfigError(f"{typed}: {given} was given, one value is allowed: {describe(allowed)}.")
    return _word(words[0], allowed)


def _nested(allowed: Any) -> bool:
    """Whether it is a tuple of tuples."""
    inner = [member for outer in members(allowed) if get_origin(outer) is tuple for member in members(get_args(outer)[0])]
    return any(get_origin(member) is tuple for member in inner)


def _parsed(word: str, typed: str) -> Any:
    """JSON, as config.json has the value; `fit` says what is wrong within it."""
    try:
        return json.loads(word)
    except ValueError as error:
        raise ConfigError(
            f"{typed}: {word!r} is no JSON. Allowed: a list of lists as config.json has it, such as '[[\"embed\", []]]'."
        ) from error


def _word(word: str, allowed: Any) -> Any:
    for member in members(allowed):
        value = _as(word, member)
        if value is not None:
            return value
    return None if type(None) in members(allowed) and word.lower() == "none" else word


def _as(word: str, member: Any) -> Any:
    """The word as a bool, a number or a choice; None where it is none."""
    if member is bool:
        return {"true": True, "false": False}.get(word.lower())
    if get_origin(member) is Literal:
        return next((choice for choice in get_args(member) if str(choice) == word), None)
    if member in (int, float):
        try:
            return member(word)
        except ValueError:
            return _integral(word) if member is int else None
    return None


def _integral(word: str) -> int | None:
    """`1e3` is an int too."""
    try:
        number = float(word)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _resolve(flag: Flag, known: Mapping[str, Any], also: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The flag's key and words; `--log.no-progress` and `--no-log.progress` are `--log.progress false`."""
    group, dot, name = flag.key.rpartition(".")
    for negated in (flag.key.removeprefix("no_"), f"{group}{dot}{name.removeprefix('no_')}"):
        if flag.key not in known and negated in known and bool in members(known[negated]):
            if flag.words:
                raise ConfigError(f"{flag.typed}: {flag.words[0]!r} was given, no value is allowed.")
            return negated, ("false",)
    if flag.key in known:
        return flag.key, flag.words
    ends = [k for k in known if k.endswith(f".{flag.key}")]
    names = [f"--{k.replace('_', '-')}" for k in ends or [*known, *also]]
    hint = f" Did you mean {' or '.join(map(repr, names[:3]))}?" if ends else nearest(flag.typed, names)
    if "Did you mean" not in hint:
        hint = " See --help for all."
    raise ConfigError(f"{flag.typed}: there is no such flag.{hint}")


def _nodes(value: Any, allowed: Any, key: str) -> Iterator[tuple[str, Any]]:
    """(key, allowed type) of the parts and leaves below a value."""
    for name, (part, hint) in _parts(value, allowed).items():
        yield join(key, name), hint
        yield from _nodes(part, hint, join(key, name))


def _parts(value: Any, allowed: Any) -> dict[str, tuple[Any, Any]]:
    """Name -> (value, allowed type) of what a value holds."""
    if is_value(value):
        return {name: (getattr(value, name), hint) for name, hint in hints(type(value)).items()}
    if isinstance(value, tuple):
        args = next((get_args(m) for m in members(allowed) if get_origin(m) is tuple), ())
        return {str(i): (v, args[0] if args[1:] == (...,) else args[i] if i < len(args) else Any) for i, v in enumerate(value)}
    if isinstance(value, Mapping):
        args = next((get_args(m) for m in members(allowed) if get_args(m)), (Any, Any))
        return {k: (v, args[1]) for k, v in value.items()}
    return {}


def _rebuild(value: Any, allowed: Any, change: Any, key: str) -> Any:
    """All changes of one part at once, so that a constructor sees them together."""
    if isinstance(change, Flag):
        return fit(read(change.words, allowed, change.typed, value), allowed, key)
    parts = _parts(value, allowed)
    changed = {name: _rebuild(*parts[name], node, join(key, name)) for name, node in change.items()}
    if is_value(value):
        return construct(lambda: dataclasses.replace(value, **changed), key) if changed else value
    new = {name: changed.get(name, part) for name, (part, _) in parts.items()}
    return tuple(new.values()) if isinstance(value, tuple) else new
