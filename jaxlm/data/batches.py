"""Batches by number, and the processes or the thread that make them ahead of time."""

import os
import signal
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from multiprocessing import connection, parent_process, resource_tracker
from typing import Any

import numpy as np

from jaxlm.core import Example, RunError
from jaxlm.core.paths import is_remote
from jaxlm.data.examples import PADDING, Examples

ENDLESS = 2**40
THREADS = 16
"""That wait for an object store at once, each for the rows of a batch: an answer takes some 30 ms."""


class Batches:
    """`batches[k]`: the rows of global batch k that this process reads; random access, no state.

    Global batch k has the rows at positions `start_position + k * batch_size` and on, `batch_size` of them, then
    padding rows (`row` -1) up to `padded_size`.

    Args:
      num_rows_total: where a finite pass ends; rows at this position and after are padding. None: endless.
      padded_size: rows of a global batch with its padding; None: `batch_size`.
      rows: which rows of the global batch to read, in this order; None: all.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        batch_size: int,
        start_position: int,
        num_rows_total: int | None = None,
        padded_size: int | None = None,
        rows: np.ndarray | None = None,
    ):
        padded_size = padded_size or batch_size
        assert padded_size >= batch_size > 0, f"{batch_size} rows do not fit a batch of {padded_size}"
        self.examples, self.batch_size, self.start_position = examples, batch_size, start_position
        self.num_rows_total = num_rows_total
        self.rows = np.arange(padded_size) if rows is None else np.asarray(rows, np.int64)
        assert self.rows.size, "a process reads one row at least"
        assert 0 <= self.rows.min() <= self.rows.max() < padded_size, "rows lie outside the batch"

    def __len__(self) -> int:
        if self.num_rows_total is None:
            return ENDLESS
        return max(0, -(-(self.num_rows_total - self.start_position) // self.batch_size))

    def positions(self, k: int) -> np.ndarray:
        """The position of each row of batch k; -1 for padding."""
        positions = self.start_position + k * self.batch_size + self.rows
        end = ENDLESS * self.batch_size if self.num_rows_total is None else self.num_rows_total
        return np.where((self.rows < self.batch_size) & (positions < end), positions, PADDING)

    def __getitem__(self, k: int) -> Example:
        return self.examples.batch(self.positions(int(k)))


def iterate(batches: Batches, *, num_workers: int = 0, prefetch: int = 2) -> "BatchIterator":
    """Batches 0, 1, 2, ... made ahead of time: by one thread (by `THREADS` where an object store is read), or by `num_workers`
    processes.

    What comes is the same to the bit for any number of workers. Programs that use workers need the
    `if __name__ == "__main__"` guard: workers are spawned.

    Args:
      prefetch: batches held ready, by the thread or by each worker.
    """
    return BatchIterator(_grain_iterator(batches, num_workers, prefetch))


class BatchIterator(Iterator[Example]):
    """Batches in order; close it when done.

    An error raised while a batch is made is raised here. Work begins at once. Workers end with this process, however
    it ends, and leave signals from the terminal or the scheduler to it.

    Raises (from next):
      RunError: a worker was killed.
    """

    def __init__(self, iterator: Any):
        self._held = [iterator]
        self._first: Future[Example] | None = Future()
        starter = threading.Thread(target=_start, args=(iterator, self._first), name="data-start", daemon=True)
        starter.start()
        self._end = weakref.finalize(self, _end, self._held, starter)  # also when forgotten, and before Python shuts down

    def __next__(self) -> Example:
        if not self._end.alive:
            raise StopIteration
        try:
            if self._first is not None:
                first, self._first = self._first, None
                return first.result()
            return next(self._held[0])
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):
                raise
            raise RunError(
                f"a data worker died ({str(error).split('. ')[0]}); the machine may have too little memory: "
                "try fewer data.num_workers, or 0"
            ) from error

    def close(self) -> None:
        """Ends the thread or the workers and waits for them."""
        self._end()
        self._first = None

    def __enter__(self) -> "BatchIterator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(iterator: Any, first: "Future[Example]") -> None:
    """Makes the first batch; starts the workers."""
    # Workers inherit the signals that are blocked in the thread that starts them. Starting the tracker of shared
    # memory unblocks them, so it is started before.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        first.set_result(next(iterator))
    except BaseException as error:
        first.set_exception(error)


def _end(held: list[Any], starter: threading.Thread) -> None:
    """Closes the iterator and lets go of it: else Grain closes it once more, and fails, while Python shuts down."""
    starter.join()
    held.pop().close()


def _grain_iterator(batches: Batches, num_workers: int, prefetch: int) -> Any:
    import grain  # loads jax, which `import jaxlm.data` need not wait for
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # else workers refuse to start outside absl.app
    dataset = grain.MapDataset.source(batches)
    num_threads = THREADS if any(is_remote(reader.part.folder) for reader in batches.examples.readers) else 0
    if not num_workers:
        threads = max(num_threads, 1)
        return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(prefetch, threads))))
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=num_threads)
    plain = dataset.map(_join).to_iter_dataset(options)
    workers = grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=prefetch)
    return iter(plain.mp_prefetch(workers, worker_init_fn=_end_with_parent).map(_part))


def _join(batch: Example) -> np.ndarray:
    """A batch as one record: each array that a worker sends costs a shared memory of its own, and those are dear."""
    record = np.empty((), [(name, array.dtype, array.shape) for name, array in batch.items()])
    for name, array in batch.items():
        record[name] = array
    return record


def _part(record: np.ndarray) -> Example:
    """The arrays of a record, copied: jax keeps what it placed without a copy until after Python's end, where shared memory
    is told to have leaked."""
    names = record.dtype.names
    assert names, "a worker sent no record"
    return {name: np.array(record[name]) for name in names}


def _end_with_parent(worker: int, num_workers: int) -> None:
    """Lets a worker end when the trainer is gone, also by SIGKILL (PR_SET_PDEATHSIG would follow the thread that started
    it, not the process)."""
    parent = parent_process()
    assert parent is not None, "a data worker is a process of its own"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
