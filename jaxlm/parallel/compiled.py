"""Compiled programs: kept on disk, and made by all processes before any runs them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxlm.parallel.peers import Peers


def keep_compiled(folder: Path) -> Path:
    """Keeps compiled programs in `folder`, so that the same program is compiled once a machine, not once a run.

    A folder that is set already (JAX_COMPILATION_CACHE_DIR in the environment, or by the program) stands.

    Returns:
      The folder in use.
    """
    chosen: str | None = jax.config.values["jax_compilation_cache_dir"]
    if chosen is None:
        folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
        return folder
    return Path(chosen)


def compiled_together(jitted: Any, peers: Peers, name: str, seconds: float) -> Callable[..., Any]:
    """`jitted`, of arguments that keep their shapes, compiled by all processes before any runs it, at most `seconds` apart.

    Who compiles faster waits for the others here, where the wait has a name and our bound, and not in its first collective,
    which has bounds of its own (Gloo's: 30 s).
    """
    if peers.count == 1:
        return jitted  # type: ignore[no-any-return]
    compiled: Any = None

    def call(*arguments: Any) -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = jitted.lower(*arguments).compile()
            peers.meet(name, seconds=seconds)
        return compiled(*arguments)

    return call
