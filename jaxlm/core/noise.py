"""Noise that is keyed, never drawn in order: any row's noise is a pure function of (seed, purpose, position).

So the same run sees the same masks and dropout on any number of devices, processes, workers and microbatches.
"""

from hashlib import blake2b
from typing import Any

import numpy as np


def purpose_id(purpose: str) -> int:
    """A fixed 32-bit number for a name such as "mask" or "dropout"."""
    return int.from_bytes(blake2b(purpose.encode(), digest_size=4).digest(), "little")


def host_generator(seed: int, purpose: str, position: int) -> np.random.Generator:
    """numpy's counter-based Philox, keyed by seed and purpose, its counter set by position.

    Each position owns 2**128 draws, so no two overlap. `position` may be -1 (a padding row).
    """
    key = np.array([seed % 2**64, purpose_id(purpose)], np.uint64)
    counter = np.array([0, 0, position % 2**64, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class LazyGenerator:
    """A `host_generator` that is built at its first use: most rows of most objectives never draw."""

    def __init__(self, seed: int, purpose: str, position: int):
        self._key = (seed, purpose, position)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if "generator" not in self.__dict__:
            self.__dict__["generator"] = host_generator(*self._key)
        return getattr(self.__dict__["generator"], name)


def device_key(seed: Any, purpose: str) -> Any:
    """A jax key for one purpose of a run."""
    import jax

    return jax.random.fold_in(jax.random.key(seed), purpose_id(purpose))


def row_keys(key: Any, rows_B: Any) -> Any:
    """One key a row: `fold_in(key, position of the row)`."""
    import jax

    return jax.vmap(lambda row: jax.random.fold_in(key, row.astype("uint32")))(rows_B)
