"""Rows of the host onto the devices, ahead of the step that needs them."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxlm.parallel.rules import Partitioner


def local_rows(partitioner: Partitioner, num_rows: int) -> np.ndarray:
    """The rows of a global batch of `num_rows` that this process's devices hold, ascending."""
    slices = partitioner.rows((num_rows,)).addressable_devices_indices_map((num_rows,)).values()
    return np.unique(np.concatenate([np.arange(num_rows)[index] for index in slices if index is not None]))


def place(host_rows: dict[str, np.ndarray], partitioner: Partitioner, num_rows: int) -> dict[str, jax.Array]:
    """Global arrays of `num_rows` rows from those that this process read."""
    shapes = {name: (num_rows, *local.shape[1:]) for name, local in host_rows.items()}
    shardings = {name: partitioner.rows(shape) for name, shape in shapes.items()}
    if jax.process_count() == 1:
        return jax.device_put(host_rows, shardings)  # all at once: each call costs as much as a small array
    return {name: jax.make_array_from_process_local_data(shardings[name], local, shapes[name]) for name, local in host_rows.items()}


class Ahead:
    """Runs `function` over an iterator in a thread, at most `depth` results ahead; iterate, then close.

    An error of the iterator or the function is raised where the result would have come.
    """

    def __init__(self, items: Iterator[Any], function: Callable[[Any], Any], depth: int = 2):
        self._results: queue.Queue = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._items = items
        self._thread = threading.Thread(target=self._work, args=(function,), name="jaxlm-placement", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        kind, value = self._results.get()
        if kind == "item":
            return value
        self._results.put((kind, value))  # so that asking again answers again
        raise StopIteration if kind == "end" else value

    def close(self) -> None:
        """Stops the thread and closes the iterator."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._results.get(timeout=0.05)
            except queue.Empty:
                continue
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def _work(self, function: Callable[[Any], Any]) -> None:
        try:
            for item in self._items:
                if self._stop.is_set():
                    return
                self._put(("item", function(item)))
            self._put(("end", None))
        except Exception as error:
            self._put(("error", error))

    def _put(self, result: tuple[str, Any]) -> None:
        while not self._stop.is_set():
            try:
                return self._results.put(result, timeout=0.05)
            except queue.Full:
                continue
