"""jaxlm: train language models in JAX, from a laptop to TPU pods, with the same code.

    import jaxlm
    run = jaxlm.fit(jaxlm.recipe("quickstart"))
    print(run.generate("The list"))

Importing it loads neither jax nor any room; each name here is found when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jaxlm.run.config import RunConfig

__version__ = "0.1.0"

_LAZY = {
    "fit": "jaxlm.run.api:fit",
    "load": "jaxlm.run.api:load",
}

__all__ = ["__version__", "fit", "load", "recipe"]


def recipe(name: "str | Path", **dials: Any) -> "RunConfig":
    """The config of a recipe: a shipped one's name (`"nano/gpt2"`), or a path to a .py file or a run's config.json.

    Args:
      dials: the keyword arguments of the recipe's `config` function.

    Raises:
      jaxlm.core.ConfigError: there is no such recipe, it has errors, or a dial is unknown or of the wrong type.
    """
    from jaxlm.run.recipe import load_recipe

    return load_recipe(name, dials=dials).config


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, _, attr = _LAZY[name].partition(":")
        return getattr(import_module(module), attr)
    raise AttributeError(f"module 'jaxlm' has no attribute {name!r}")
