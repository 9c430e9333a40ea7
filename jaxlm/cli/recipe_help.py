"""What `--help` says of a RECIPE: its dials and all fields of its config."""

from typing import Any

from jaxlm.core import ConfigError


def recipe_help(arguments: Any) -> str:
    """For a command's arguments with a RECIPE: the recipe's own words, its dials, then every field with type, default and meaning.

    Where the config cannot be made yet (a dial without default is missing), the message stands in the fields' place.
    """
    from jaxlm.run.help import dials_help, fields_help
    from jaxlm.run.recipe import config_function, find_recipe, load_recipe
    from jaxlm.run.source import load_source

    recipe, trust = arguments.recipe, getattr(arguments, "trust", False)
    path, _ = find_recipe(recipe)
    parts = []
    if path.suffix == ".py":
        source = load_source(path)
        function, _ = config_function(source)
        parts += [(source.module.__doc__ or "").strip(), dials_help(function, f"Dials of {recipe}:")]
    try:
        parts.append(fields_help(load_recipe(recipe, arguments.overrides, trust=trust).config, f"Fields of {recipe}:"))
    except ConfigError as error:
        parts.append(str(error))
    return "\n\n".join(part for part in parts if part)
