"""A recipe's file as a module: its own code, run, with errors that name file and line."""

import hashlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxlm.core import ConfigError, UserError
from jaxlm.core.paths import absolute
from jaxlm.run.check import hints, is_value


@dataclass(frozen=True)
class Source:
    """The text of a recipe and the module that came of it."""

    path: Path
    """Absolute."""
    text: str
    module: ModuleType

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


_LOADED: dict[str, Source] = {}  # by the module's name


def load_source(path: Path) -> Source:
    """Runs the file as a module, once for each text of it, and lets its classes travel to data workers by value.

    Raises:
      ConfigError: it cannot be read, or an error in it; the message names file and line.
    """
    path = absolute(path)
    text = read_source(path)
    name = "jaxlm_recipe_" + hashlib.sha256(f"{path}\n{text}".encode()).hexdigest()[:16]
    if name not in _LOADED:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec, f"{path} ends in .py"
        module = importlib.util.module_from_spec(spec)
        module.__file__ = str(path)
        # its lines, for help and tracebacks, which cannot look into an object store
        linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
        sys.modules[name] = module  # before it runs: dataclasses look their module up there
        try:
            run_code(path, lambda: exec(compile(text, str(path), "exec"), vars(module)))
            import cloudpickle

            run_code(path, lambda: cloudpickle.register_pickle_by_value(module))
        except BaseException:
            del sys.modules[name]
            raise
        _LOADED[name] = Source(path, text, module)
    return _LOADED[name]


def read_source(path: Path) -> str:
    """The text of a recipe. Raises ConfigError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}. Give a file of UTF-8 text.") from error


def source_of(config: Any) -> Source | None:
    """The recipe whose own classes a config value holds; None: it holds none."""
    if type(config).__module__ in _LOADED:
        return _LOADED[type(config).__module__]
    parts: list[Any] = []
    if is_value(config):
        parts = [getattr(config, name) for name in hints(type(config))]
    elif isinstance(config, tuple | list):
        parts = list(config)
    elif isinstance(config, Mapping):
        parts = list(config.values())
    return next(filter(None, map(source_of, parts)), None)


def run_code(path: Path, call: Callable[[], Any], *, shipped: bool = False) -> Any:
    """`call()`, which runs the file's code; what it raises becomes a ConfigError that names file and line.

    Args:
      shipped: the file came with jaxlm: what its user did wrong lies not in one of its lines, so none is named.

    Changes of `sys.path` end with it: what was imported so could not be found again when the run goes on.
    """
    before = list(sys.path)
    try:
        return call()
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise ConfigError(f"{error.filename or path}{line}: {error.msg}.") from error
    except UserError as error:
        if shipped:
            raise
        raise ConfigError(f"{_place(path, error)}: {error}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ConfigError(f"{_place(path, error)}: {_said(error)}") from error
    finally:
        sys.path[:] = before


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception:  # its own `__str__` raises
        return type(error).__name__


def _place(path: Path, error: BaseException) -> str:
    """FILE:LINE of the file's last frame on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
