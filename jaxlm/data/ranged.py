"""An array in an object store, of which only what is asked for is read."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.core import RunError
from jaxlm.core.paths import cloud_errors, size_of, store_of

BLOCK_BYTES = 2**16
"""Of one request: rows lie anywhere in a store, and of a larger block most would be thrown away."""
MEMORY_BYTES = 2**26
"""Of the newest blocks that one process keeps, of a stream with all its files together."""


class RangedArray:
    """A one-dimensional array whose slices are read by requests for ranges of bytes, whole blocks of them through fsspec's
    block cache. Threads may read at once; it is opened at first use, by each process for itself.

    Args:
      num_files: of the array's stream, which share the memory for blocks.
    """

    def __init__(self, path: Path, dtype: str, num_files: int = 1):
        self.path, self.dtype, self.num_files = path, np.dtype(dtype), num_files

    def __len__(self) -> int:
        return self._cache.size // self.dtype.itemsize

    def __getitem__(self, part: slice) -> np.ndarray:
        size = self.dtype.itemsize
        try:
            start, stop, step = part.indices(len(self))  # the first time it asks the store
            assert step == 1, "a stretch is read as it lies there"
            with cloud_errors():
                data = self._cache._fetch(start * size, max(start, stop) * size)  # as fsspec's own files call it
        except OSError as error:
            raise RunError(
                f"token store: {self.path} could not be read: {error}. Run the same command again once the store can be reached"
            ) from error
        return np.frombuffer(data, self.dtype)

    @cached_property
    def _cache(self) -> Any:
        from fsspec.caching import BlockCache

        files, name = store_of(self.path)
        size = size_of(self.path)
        if size is None:
            raise RunError(f"token store: {self.path} is missing; delete the store's folder and build it anew")
        blocks = max(4, MEMORY_BYTES // BLOCK_BYTES // self.num_files)

        def read(start: int, stop: int) -> bytes:
            return files.cat_file(name, start=start, end=min(stop, size))

        return BlockCache(BLOCK_BYTES, read, size, blocks)
