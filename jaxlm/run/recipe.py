"""RECIPE, as every command takes it: a Python file, the name of a shipped one, or the config of a run."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

from jaxlm.core import ConfigError
from jaxlm.core.errors import nearest
from jaxlm.core.paths import require_readable, resolved
from jaxlm.run.check import as_path, fit_fields
from jaxlm.run.config import RunConfig
from jaxlm.run.dials import COMMAND_FLAGS, check_dials, dial_types, read_dials
from jaxlm.run.overrides import override, split_flags
from jaxlm.run.saved import holds_own, read_config, recipe_beside
from jaxlm.run.source import Source, load_source, read_source, run_code, source_of
from jaxlm.run.values import to_json


@dataclass(frozen=True)
class Recipe:
    """A config, and where it came from."""

    config: RunConfig
    name: str
    """Names the run folder: the bare name with - for /, or the file's stem; of a run's config, the run's."""
    source: str | None = None
    """Text of the recipe; None: there is none."""
    module: str | None = None
    """Name of the module of the recipe, where its own classes live."""
    run_dir: Path | None = None
    """The run whose config this is, absolute."""
    dials: Mapping[str, Any] = field(default_factory=dict)
    """Those that were given."""
    function: Callable[..., RunConfig] | None = None
    """The recipe's `config`; None: the config was read from JSON or made in Python."""

    @property
    def digest(self) -> str | None:
        """Hex SHA-256 of the source."""
        return None if self.source is None else hashlib.sha256(self.source.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The config as it is saved. Raises ConfigError where a value cannot be (see `to_json`)."""
        return to_json(self.config, self.module)

    @property
    def holds_own(self) -> bool:
        """Whether the config holds classes of the recipe: then the source is part of the config."""
        return holds_own(self.to_json())


def load_recipe(
    where: str | Path, words: Sequence[str] = (), *, dials: Mapping[str, Any] | None = None, trust: bool = False
) -> Recipe:
    """The recipe with its dials and overrides set; every name and type checked, before anything is touched.

    Args:
      where: a .py file; a shipped recipe's name (`nano/gpt2`) or path (`configs/nano/gpt2.py`); a config.json or run folder.
      words: flags as on the command line, dials and overrides mixed.
      dials: dials as Python values.
      trust: where a config.json names classes that are not jaxlm's own, run the code that holds them.

    Raises:
      ConfigError: whatever is wrong with the recipe, its config, or the flags.
    """
    path, name = find_recipe(where)
    flags = split_flags(words)
    if path.suffix == ".json":
        recipe = _from_json(path, name, trust)
        if dials:
            raise ConfigError(f"{next(iter(dials))}: {path} is a finished config and has no dials. Override its fields.")
    else:
        source = load_source(path)
        function, line = config_function(source)
        types = dial_types(function, line)
        from_flags, flags = read_dials(types, flags)
        given = check_dials(function, types, {**(dials or {}), **from_flags}, line)
        config = run_code(path, lambda: function(**given), shipped=path in shipped().values())
        if not isinstance(config, RunConfig):
            raise ConfigError(
                f"{line}: config() returned {type(config).__name__}, not a RunConfig. End it with return RunConfig(...)."
            )
        recipe = Recipe(fit_fields(config), name, source.text, source.module.__name__, None, given, function)
    also = [*(dial_types(recipe.function, str(path)) if recipe.function else ()), *COMMAND_FLAGS]
    return dataclasses.replace(recipe, config=override(recipe.config, flags, also))


def config_function(source: Source) -> tuple[Callable[..., Any], str]:
    """A recipe's `config`, and FILE:LINE where it is defined, which may be elsewhere. Raises ConfigError where there is none."""
    function = vars(source.module).get("config")
    if not isinstance(function, FunctionType):
        raise ConfigError(f"{source.path}:1: has no function `config`. A recipe defines def config() -> RunConfig.")
    return function, f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


def recipe_of(config: RunConfig, name: str = "run") -> Recipe:
    """A config that was made in Python, with the recipe whose classes it holds, if any.

    Raises:
      ConfigError: a name or type in it is wrong.
    """
    source = source_of(config)
    return Recipe(fit_fields(config), name, source.text if source else None, source.module.__name__ if source else None)


def find_recipe(where: str | Path) -> tuple[Path, str]:
    """The file (.py or .json) that RECIPE means, absolute, and the name that it gives a run.

    Raises:
      ConfigError: there is none; the message has the nearest shipped names.
    """
    text, path = str(where), as_path(where, "RECIPE")
    require_readable(path, "RECIPE")
    if (path / "config.json").is_file():
        return resolved(path / "config.json"), resolved(path).name
    if path.suffix in (".py", ".json") and path.is_file():
        return resolved(path), resolved(path).parent.name if path.name == "config.json" else path.stem
    bare = shipped()
    if text in bare:
        return bare[text], text.replace("/", "-")
    inner = text.removeprefix("configs/").removesuffix(".py")
    if text == f"configs/{inner}.py" and inner in bare:
        return bare[inner], path.stem
    if path.is_dir():
        raise ConfigError(f"RECIPE: {text!r} is a folder without config.json. Give a run folder, a .py file or a shipped name.")
    raise ConfigError(f"RECIPE: {text!r} is no .py file, no run and no shipped recipe.{nearest(inner, bare)}")


def shipped() -> dict[str, Path]:
    """Name -> file of the recipes that come with jaxlm."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parent / "configs"):  # in a wheel; in a checkout
        if folder.is_dir():
            return {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.py"))}
    return {}


def _from_json(path: Path, name: str, trust: bool) -> Recipe:
    config = read_config(path, trust=trust)
    if config.optimizer.steps == config.train.steps:  # the one follows the other, also where a new run changes it
        config = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, steps=None))
    beside, own = recipe_beside(path), source_of(config)
    return Recipe(
        config,
        name,
        source=read_source(beside) if beside.is_file() else None,
        module=own.module.__name__ if own else None,
        run_dir=path.parent if path.name == "config.json" else None,
    )
