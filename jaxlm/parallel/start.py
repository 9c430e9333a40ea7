"""What a process sets up before its first program."""

import os
from pathlib import Path

import jax


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
