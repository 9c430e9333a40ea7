"""What a command is, and how its words become its arguments."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from jaxlm.core import ConfigError
from jaxlm.core.errors import nearest


@dataclass(frozen=True)
class Command:
    """A command of the command line; its module holds it as `COMMAND`."""

    name: str
    summary: str
    """One line."""
    arguments: type
    """A frozen dataclass whose fields were made by `positional`, `flag` and `rest`."""
    run: Callable[[Any], Mapping[str, Any]]
    """Takes the arguments, prints for people, returns what `--json` prints. An exit code other than 0 is a UserError's."""
    examples: tuple[str, ...]
    before: Callable[[], Any] | None = None
    """Called before the first thread is started, and before anything that takes time is imported."""
    more_help: Callable[[Any], str] | None = None
    """What else `--help` says of these arguments, where the positional ones were given."""


def positional(meaning: str, default: Any = dataclasses.MISSING) -> Any:
    """A field for a word, a str, shown as the field's name in capitals. It must be given where it has no default."""
    return dataclasses.field(default=default, metadata={"kind": "positional", "meaning": meaning})


def flag(default: Any, value: str, meaning: str) -> Any:
    """A field for `--name VALUE` (`value` "": a switch without one); of a tuple: it may be given several times.

    A default of `dataclasses.MISSING` makes it required.
    """
    return dataclasses.field(default=default, kw_only=True, metadata={"kind": "flag", "meaning": meaning, "value": value})


def rest(value: str) -> Any:
    """A field for all flags that the command does not know itself; `value` is how the usage line shows them."""
    return dataclasses.field(default=(), kw_only=True, metadata={"kind": "rest", "value": value})


def parse(command: Command, words: Sequence[str], *, lenient: bool = False) -> Any:
    """The command's arguments.

    Args:
      lenient: for help: None instead of an error where positional words are missing.

    Raises:
      ConfigError: an unknown flag, a value of a wrong type, a missing word or one too many.
    """
    from jaxlm.run.check import fit, hints
    from jaxlm.run.overrides import is_flag, read

    fields = _fields(command.arguments)
    waiting = [name for name, field in fields.items() if field.metadata["kind"] == "positional"]
    flags = {_flag_name(name): name for name, field in fields.items() if field.metadata["kind"] == "flag"}
    others = next((name for name, field in fields.items() if field.metadata["kind"] == "rest"), None)
    types, values = hints(command.arguments), dict[str, Any]()
    left = list(words)
    while left:
        word = left.pop(0)
        typed, equals, value = word.partition("=")
        key = typed.replace("_", "-")
        if is_flag(word) and key in flags:
            name = flags[key]
            several = get_origin(types[name]) is tuple
            given = [value] if equals else [] if types[name] is bool or not left or is_flag(left[0]) else [left.pop(0)]
            allowed = get_args(types[name])[0] if several else types[name]
            fitted = fit(read(given, allowed, typed), allowed, key, of_recipe=False)
            values[name] = (*values.get(name, ()), fitted) if several else fitted
        elif is_flag(word) and others and not waiting:
            values[others] = (*values.get(others, ()), word)
            while left and not is_flag(left[0]):
                values[others] += (left.pop(0),)
        elif is_flag(word) and others:
            raise ConfigError(f"{typed}: stands before {waiting[0].upper()}. Allowed: {usage(command)}")
        elif is_flag(word):
            raise ConfigError(f"{typed}: `jaxlm {command.name}` has no such flag.{nearest(key, [*flags, '--json', '--help'])}")
        elif waiting:
            values[waiting.pop(0)] = word
        else:
            raise ConfigError(f"{word!r}: one word too many. Allowed: {usage(command)}")
    shown = [(name.upper(), name) for name in waiting] + list(flags.items())
    missing = [key for key, name in shown if _required(fields[name]) and name not in values]
    if missing and lenient:
        return None
    if missing:
        raise ConfigError(f"jaxlm {command.name}: {missing[0]} is missing. Allowed: {usage(command)}")
    return command.arguments(**values)


def usage(command: Command) -> str:
    """The synopsis in one line."""
    parts = [f"jaxlm {command.name}"]
    for name, field in _fields(command.arguments).items():
        if field.metadata["kind"] == "rest":
            parts.append(field.metadata["value"])
        else:
            positional = field.metadata["kind"] == "positional"
            shown = name.upper() if positional else f"{_flag_name(name)} {field.metadata['value']}".rstrip()
            parts.append(shown if _required(field) else f"[{shown}]")
    return " ".join([*parts, "[--json]"])


def help_text(command: Command, words: Sequence[str]) -> str:
    """What `--help` prints: synopsis, meanings, examples, and what the command adds for these words."""
    rows = [
        (name.upper() if field.metadata["kind"] == "positional" else f"{_flag_name(name)} {field.metadata['value']}", field)
        for name, field in _fields(command.arguments).items()
        if field.metadata["kind"] != "rest"
    ]
    lines = [(shown, f"{field.metadata['meaning']}{_default(field)}") for shown, field in rows]
    lines += [("--json", "One JSON object as the last line of stdout, all else on stderr."), ("--help", "This text.")]
    width = max(len(shown) for shown, _ in lines) + 2
    text = [f"usage: {usage(command)}", "", command.summary, ""]
    text += [f"  {shown:<{width}}{meaning}" for shown, meaning in lines]
    text += ["", "examples:", *(f"  {example}" for example in command.examples)]
    arguments = parse(command, words, lenient=True) if command.more_help else None
    if command.more_help and arguments is not None:
        text += ["", command.more_help(arguments)]
    return "\n".join(text)


def _fields(arguments: type) -> dict[str, dataclasses.Field]:
    return {field.name: field for field in dataclasses.fields(arguments)}


def _flag_name(field_name: str) -> str:
    return f"--{field_name.rstrip('_').replace('_', '-')}"  # `from_`: a word of Python's own


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING


def _default(field: dataclasses.Field) -> str:
    shown = field.default not in (None, False, (), dataclasses.MISSING)
    return f" (default: {field.default})" if shown else ""
