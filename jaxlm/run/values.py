"""Config values to JSON and back.

A part is written `{"type": "package.module:Class", ...its fields}`, a tuple as a list, a path as an absolute string; a
class of the recipe's own is `recipe:Class`. Reading constructs jaxlm's own types alone, unless it is trusted with more.
"""

import dataclasses
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import PurePath
from typing import Any

from jaxlm.core import ConfigError
from jaxlm.core.errors import nearest
from jaxlm.run.check import construct, describe, fit, fit_fields, hints, is_value, join, kind, require_names

FORMAT = 1
"""Number of the form of this JSON; raised when an older jaxlm would misread it."""

RECIPE = "recipe"
"""Stands for the module of the recipe in a type's name."""


def to_json(config: Any, recipe_module: str | None = None) -> dict[str, Any]:
    """The config as JSON's dicts, lists, strings and numbers, with its format number.

    Args:
      config: a frozen dataclass value, at every depth.
      recipe_module: name of the module of the run's recipe, whose classes are written `recipe:Class`.

    Raises:
      ConfigError: a value that JSON cannot hold, or of a class that could not be found again from the run folder.
    """
    return {"format": FORMAT, **_encode(fit_fields(config), "", recipe_module)}


def from_json(
    node: Any, allowed: type, *, key: str = "", trust: bool = False, recipe: Mapping[str, Any] | None = None, where: str = "config"
) -> Any:
    """The value that `to_json` wrote, or one of its parts.

    Args:
      node: parsed JSON.
      allowed: the class that it must be of: `RunConfig`, `TokenizerConfig` ...
      key: the part's key, for messages.
      trust: construct classes that are not jaxlm's own too.
      recipe: names of the recipe's module, where `recipe:Class` is found; None: there is none.
      where: the file, for messages.

    Raises:
      ConfigError: a newer format; an unknown type or field; a value of the wrong type; a class that needs trust.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where}: holds {kind(node)}, not a config. Give a config.json that jaxlm wrote.")
    require_format(node, where)
    reader = _Reader(trust, recipe, where)
    try:
        return reader.decode({name: part for name, part in node.items() if name != "format"}, allowed, key)
    except ConfigError as error:
        if where in (words := str(error)):
            raise
        raise ConfigError(f"{words}{'' if words[-1] in '.?' else '.'} Mend it in {where}.") from error


def require_format(node: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError for a config in JSON that a newer jaxlm wrote."""
    found = node.get("format", FORMAT)
    if not isinstance(found, int) or found > FORMAT:
        raise ConfigError(f"{where}: format {found!r} is newer than {FORMAT}, the newest that this jaxlm reads. Upgrade jaxlm.")


def _encode(value: Any, key: str, recipe_module: str | None) -> Any:
    if is_value(value):
        cls = type(value)
        if not cls.__dataclass_params__.frozen:
            raise ConfigError(f"{key}: {cls.__qualname__} can change. Write @dataclass(frozen=True) above it.")
        fields = {name: _encode(getattr(value, name), join(key, name), recipe_module) for name in hints(cls)}
        return {"type": _type_name(cls, key, recipe_module), **fields}
    if isinstance(value, tuple | list):
        return [_encode(part, join(key, i), recipe_module) for i, part in enumerate(value)]
    if isinstance(value, Mapping):
        if "type" in value or not all(isinstance(k, str) for k in value):
            raise ConfigError(f"{key}: the names of a dict in a config are strings other than 'type'.")
        return {k: _encode(v, join(key, k), recipe_module) for k, v in value.items()}
    if isinstance(value, PurePath):
        return str(value)  # absolute: `fit_fields` has made it so
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ConfigError(
        f"{key}: {kind(value)} cannot be saved. Allowed: numbers, strings, paths, None, tuples, dicts and frozen dataclasses."
    )


def _type_name(cls: type, key: str, recipe_module: str | None) -> str:
    if cls.__module__ == recipe_module and "<" not in cls.__qualname__:
        return f"{RECIPE}:{cls.__qualname__}"
    if "<" not in cls.__qualname__ and (_is_ours(cls.__module__) or _is_installed(cls.__module__)):
        return f"{cls.__module__}:{cls.__qualname__}"
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if cls.__module__ == "__main__":
        place = file or "a notebook's cell or a prompt"
        raise ConfigError(
            f"{key}: class {cls.__qualname__} is defined in {place} and could not be found again when the run goes on. Write it "
            "to a file that ends in `def config()`, such as mine.py (in a notebook: %%writefile mine.py); its config is "
            "jaxlm.recipe('mine.py')."
        )
    raise ConfigError(
        f"{key}: class {cls.__qualname__} comes from {file or cls.__module__} and could not be found again when the run goes on. "
        "Put it at the top level of the recipe's own file, or install its package."
    )


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "jaxlm"


def _is_installed(module: str) -> bool:
    """Whether the interpreter's own finders lead to this very package (a file loaded by path is in sys.modules alone)."""
    top = module.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__spec__", None)
    if loaded is None:
        return False
    for finder in sys.meta_path:
        spec = finder.find_spec(top, None)
        if spec is not None:
            return spec.origin == loaded.origin
    return False


@dataclasses.dataclass(frozen=True)
class _Reader:
    trust: bool
    recipe: Mapping[str, Any] | None
    where: str

    def decode(self, node: Any, allowed: Any, key: str) -> Any:
        return fit(self._plain(node, allowed, key), allowed, key or "config", of_recipe=False)

    def _plain(self, node: Any, allowed: Any, key: str) -> Any:
        """`node` with its parts constructed; what stands in a field is checked before its owner is made."""
        if isinstance(node, Mapping) and "type" in node:
            cls = self._class(node["type"], key)
            given = {name: part for name, part in node.items() if name != "type"}
            fields = hints(cls)
            require_names(given, fields, key, cls.__name__)
            for field in dataclasses.fields(cls):
                required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
                if field.init and required and field.name not in given:
                    raise ConfigError(
                        f"{join(key, field.name)}: missing in {self.where}; {describe(fields[field.name])} is needed."
                    )
            values = {name: self.decode(part, fields[name], join(key, name)) for name, part in given.items()}
            return construct(lambda: cls(**values), key)
        if isinstance(node, Mapping):
            return {name: self._plain(part, Any, join(key, name)) for name, part in node.items()}
        if isinstance(node, list):
            return tuple(self._plain(part, Any, join(key, i)) for i, part in enumerate(node))
        return node

    def _class(self, name: Any, key: str) -> type:
        module, _, path = name.partition(":") if isinstance(name, str) else ("", "", "")
        if not module or not path:
            raise ConfigError(f"{join(key, 'type')}: {name!r} is no type. Allowed: 'package.module:Class'.")
        if not _is_ours(module) and not self.trust:
            raise ConfigError(
                f"{join(key, 'type')}: {name!r} in {self.where} is code that is not jaxlm's own. "
                "If you trust who wrote it, add --trust (in Python: trust=True)."
            )
        names = self._names(module, name, key)
        cls: Any = names.get(path.split(".")[0])
        for part in path.split(".")[1:]:
            cls = getattr(cls, part, None)
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)) or (_is_ours(module) and not _is_ours(cls.__module__)):
            classes = [n for n, c in names.items() if isinstance(c, type) and dataclasses.is_dataclass(c)]
            raise ConfigError(f"{join(key, 'type')}: {name!r} in {self.where} is unknown.{nearest(path, classes)}")
        return cls

    def _names(self, module: str, name: str, key: str) -> Mapping[str, Any]:
        if module == RECIPE:
            if self.recipe is None:
                raise ConfigError(f"{join(key, 'type')}: {name!r} needs the recipe.py that belongs beside {self.where}.")
            return self.recipe
        try:
            return vars(import_module(module))
        except ImportError as error:
            raise ConfigError(
                f"{join(key, 'type')}: {name!r} in {self.where} is unknown: {error}. Install what it needs, or upgrade jaxlm."
            ) from error
