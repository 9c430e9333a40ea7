"""The command line: finds the command, prints results and errors, decides the exit code."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxlm.cli.entry import entry
from jaxlm.cli.interrupt import INTERRUPTED, listen
from jaxlm.core import ConfigError, UserError
from jaxlm.core.errors import nearest
from jaxlm.core.lookup import load

COMMANDS = {
    "train": "jaxlm.cli.train:COMMAND",
    "eval": "jaxlm.cli.eval:COMMAND",
    "selftest": "jaxlm.cli.selftest:COMMAND",
    "generate": "jaxlm.cli.generate:COMMAND",
    "fill-mask": "jaxlm.cli.fill_mask:COMMAND",
    "runs": "jaxlm.cli.runs:COMMAND",
    "data build": "jaxlm.cli.data_build:COMMAND",
    "data show": "jaxlm.cli.data_show:COMMAND",
    "data verify": "jaxlm.cli.data_verify:COMMAND",
    "tokenizer show": "jaxlm.cli.tokenizer_show:COMMAND",
    "config show": "jaxlm.cli.config_show:COMMAND",
}
"""Name -> where its `Command` is; the names of two words are typed as two words."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code, one of `jaxlm.core.errors.EXIT_CODES`.

    With `--json` the last line of stdout is one JSON object, `{"error": ..., "exit_code": ...}` where it failed, and all
    else goes to stderr.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    stdout = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            result, code = _run(words), 0
    except UserError as error:
        result, code = {**error.details, **_failed(str(error), error.exit_code)}, error.exit_code
    except KeyboardInterrupt:
        result, code = _failed("interrupted", INTERRUPTED), INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone (`jaxlm ... | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        return 1
    except PermissionError as error:
        message = f"{error.filename}: {error.strerror}. Change who may read and write it, or name another"
        result, code = _failed(message, 1), 1
    except Exception as error:
        traceback.print_exc()
        result, code = _failed(f"a fault in jaxlm itself: {type(error).__name__}: {error}", 1), 1
    if as_json:
        print(json.dumps(result, default=str), file=stdout, flush=True)
    return code


def _run(words: Sequence[str]) -> Mapping[str, Any]:
    if words[:1] == ["--version"]:
        import jaxlm

        print(jaxlm.__version__)
        return {"version": jaxlm.__version__}
    if not words or words[0] in ("--help", "-h", "help"):
        print(_overview())
        return {"commands": list(COMMANDS)}
    name, words = _find(words)
    command = load(COMMANDS[name])
    from jaxlm.cli.command import help_text, parse

    if "--help" in words or "-h" in words:
        text = help_text(command, [word for word in words if word not in ("--help", "-h")])
        print(text)
        return {"help": text}
    arguments = parse(command, words)
    if command.before:
        command.before()
    listen()
    return command.run(arguments)


def _find(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The command's name and the words after it."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, words[length:]
    group = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if group and (len(words) == 1 or words[1].startswith("-")):
        raise ConfigError(f"jaxlm {words[0]}: what of it? Allowed: {', '.join(f'jaxlm {name}' for name in group)}.")
    typed = " ".join(words[:2]) if group else words[0]
    raise ConfigError(f"jaxlm {typed}: there is no such command.{nearest(typed, COMMANDS)} See jaxlm --help.")


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    rows = [f"  {name:<{width}}{load(target).summary}" for name, target in COMMANDS.items()]
    return "\n".join(
        [
            "usage: jaxlm COMMAND ... [--json] [--help]",
            "",
            "Train language models in JAX, from a laptop to TPU pods, with the same code.",
            "",
            "commands:",
            *rows,
            "",
            "examples:",
            *(f"  {example}" for example in _first_examples()),
            "",
            "`jaxlm COMMAND --help` has each command's flags and more examples.",
        ]
    )


def _first_examples() -> Iterator[str]:
    for target in COMMANDS.values():
        yield load(target).examples[0]


def _failed(message: str, code: int) -> dict[str, Any]:
    print(message, file=sys.stderr)
    return {"error": message, "exit_code": code}


if __name__ == "__main__":
    entry()
