"""`jaxlm data build`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional, rest
from jaxlm.cli.recipe_help import recipe_help


@dataclass(frozen=True)
class DataBuildArguments:
    """The words of `jaxlm data build`."""

    recipe: str = positional("A .py file, a shipped recipe's name (quickstart, nano/gpt2), a run folder or its config.json.")
    trust: bool = flag(False, "", "Where a config.json names code that is not jaxlm's own, run it.")
    overrides: tuple[str, ...] = rest("[--dial VALUE ...] [--group.field VALUE ...]")


def run(arguments: DataBuildArguments) -> Mapping[str, Any]:
    """Makes tokenizer and token store where they are missing; returns where they lie."""
    from jaxlm.run.recipe import load_recipe

    recipe = load_recipe(arguments.recipe, arguments.overrides, trust=arguments.trust)
    from jaxlm.run.api import build_data

    return build_data(recipe)


COMMAND = Command(
    name="data build",
    summary="Train a recipe's tokenizer and write its token store ahead of time; `train` does it itself where they are missing.",
    arguments=DataBuildArguments,
    run=run,
    examples=(
        "jaxlm data build quickstart",
        "jaxlm data build my_recipe.py --tokenizer.vocab-size 16000",
    ),
    more_help=recipe_help,
)
