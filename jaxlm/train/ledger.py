"""Metrics of the step in flight, and how fast steps follow each other."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from jaxlm.core import Sums
from jaxlm.parallel.peaks import peak_flops
from jaxlm.train.run import Run
from jaxlm.train.watch import require_finite


class Ledger:
    """Metrics of the step in flight, read once the next is on its way, and the pace."""

    def __init__(self, run: Run, last_saved: int):
        self.run, self.last_saved = run, last_saved or None
        self._held: tuple[int, Sums] | None = None
        self._settled: tuple[int, dict[str, float]]
        self._tokens_per_step = run.train.batch_size * sum(run.lengths)
        self._flops_per_token = run.model.flops_per_token(*run.lengths)
        self._peak = peak_flops(list(run.partitioner.mesh.devices.flat))
        self._begun = time.perf_counter()
        self._paced: tuple[float, int] | None = None
        """(time, step) from which the pace counts: the first step, which compiles, is left out."""

    def hold(self, step: int, sums: Sums) -> None:
        self._held = step, sums
        if self._paced is None:  # with the next step on its way, a CPU's dispatch would hide when this one ended
            jax.block_until_ready(sums)
            self._paced = time.perf_counter(), step

    def settle(self) -> None:
        """Waits for the held step, if one is held, and checks it: all that every step pays for.

        Raises:
          RunError: loss or gradient is not finite.
        """
        if self._held is None:
            return
        (step, sums), self._held = self._held, None
        found = {name: (float(total), float(weight)) for name, (total, weight) in jax.device_get(sums.metrics).items()}
        values = {f"train/{name}": total / weight for name, (total, weight) in found.items() if weight}  # else nothing was measured
        require_finite(values, step, self.last_saved)
        self._settled = step, values

    def read(self) -> dict[str, float]:
        """The newest step's metrics and the pace; waits for the device. Raises RunError as `settle` does."""
        self.settle()
        step, values = self._settled
        metrics = {
            **values,
            "train/learning_rate": float(self.run.optimizer.rate(step - 1)),
            "data/position": step * self.run.train.batch_size,
        }
        assert self._paced is not None, "the clock runs from the first step that is held"
        since, first = self._paced
        if step > first:
            pace = (step - first) / (time.perf_counter() - since)
            metrics["perf/tokens_per_s"] = pace * self._tokens_per_step
            if self._peak:
                metrics["perf/mfu"] = metrics["perf/tokens_per_s"] * self._flops_per_token / self._peak
        return metrics

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time within it does not count for the pace."""
        begun = time.perf_counter()
        yield
        if self._paced is not None:
            since, step = self._paced
            self._paced = since + time.perf_counter() - begun, step

    def totals(self) -> dict[str, float]:
        return {"train/seconds": time.perf_counter() - self._begun}
