"""`jaxlm config show`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional, rest
from jaxlm.cli.recipe_help import recipe_help


@dataclass(frozen=True)
class ConfigShowArguments:
    """The words of `jaxlm config show`."""

    recipe: str = positional("A .py file, a shipped recipe's name (quickstart, nano/gpt2), a run folder or its config.json.")
    trust: bool = flag(False, "", "Where a config.json names code that is not jaxlm's own, run it.")
    overrides: tuple[str, ...] = rest("[--dial VALUE ...] [--group.field VALUE ...]")


def run(arguments: ConfigShowArguments) -> Mapping[str, Any]:
    """Prints each key with its value; returns the config in JSON, itself a RECIPE."""
    from jaxlm.run.recipe import load_recipe

    config = load_recipe(arguments.recipe, arguments.overrides, trust=arguments.trust).to_json()
    print("\n".join(config_lines(config)))
    return config


def config_lines(config: Mapping[str, Any]) -> list[str]:
    """`key  value` a line, as flags have the keys; a blank line between groups."""
    from jaxlm.run.difference import flatten

    rows = [(key.replace("_", "-"), value if f".{key}".endswith(".type") else json.dumps(value)) for key, value in flatten(config)]
    width = max(len(key) for key, _ in rows) + 2
    lines: list[str] = []
    group = ""
    for key, value in rows:
        if lines and key.partition(".")[0] != group:
            lines.append("")
        group = key.partition(".")[0]
        lines.append(f"{key:<{width}}{value}")
    return lines


COMMAND = Command(
    name="config show",
    summary="Print a recipe's config as it would be trained, each value by its key.",
    arguments=ConfigShowArguments,
    run=run,
    examples=(
        "jaxlm config show quickstart",
        "jaxlm config show runs/quickstart",
        "jaxlm config show nano/gpt2 --train.steps 200 --json > my.json     then: jaxlm train my.json",
    ),
    more_help=recipe_help,
)
