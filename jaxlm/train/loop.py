"""The loop: the one place where steps, data, logs and checkpoints meet."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import jax
from jax.sharding import NamedSharding

from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import Sums
from jaxlm.core.sharding import constraints
from jaxlm.parallel.peaks import peak_flops
from jaxlm.parallel.placement import Ahead, place, row_sharding
from jaxlm.parallel.rules import resolver
from jaxlm.train.run import Hook, Run
from jaxlm.train.state import TrainState, merge
from jaxlm.train.step import train_step
from jaxlm.train.watch import Stopped, StopSignals, require_finite


def train(run: Run, *, hooks: Sequence[Hook] = ()) -> TrainState:
    """Runs to `run.train.steps`, from the newest checkpoint if there is one, and saves the last state.

    Raises:
      Stopped: SIGTERM or Ctrl-C; the state is saved.
      RunError: loss or gradient was not finite, a save failed, or data could not be read.
    """
    with ExitStack() as cleanup:
        checkpoints = CheckpointStore(run.folder / "checkpoints", run.checkpoint)
        cleanup.callback(checkpoints.close)
        signals = cleanup.enter_context(StopSignals())
        state, history, resumed_from = run.start(checkpoints)
        step = int(state.step)
        logs = run.logs(step)
        for log in logs:
            cleanup.callback(log.close)
        host_rows = run.batches(int(state.position))
        batches = Ahead(host_rows, partial(place, mesh=run.mesh, num_rows=run.padded_size))
        cleanup.callback(batches.close)
        ledger = Ledger(run, last_saved=resumed_from)
        update = jitted_step(run)
        saved_at = time.monotonic()
        metrics: dict[str, float] = {}
        while step < run.train.steps and not signals.received:
            state, sums = update(state, next(batches))
            metrics = ledger.read() or metrics  # of the step before, while the device works on this one
            step += 1
            ledger.hold(step, sums)
            due = Due.of(run, step, time.monotonic() - saved_at, bool(signals.received))
            if due.line or due.eval or due.save or hooks:
                metrics = ledger.read() or metrics
                if due.eval:
                    with ledger.pause():
                        metrics |= run.evaluate(merge(state.params, state.frozen))
                if due.line or due.eval:
                    for log in logs:
                        log.write(step, metrics)
                    for hook in hooks:
                        hook(step, state, metrics)
                if due.save:
                    with ledger.pause():
                        saved_at = time.monotonic()
                        best = {"eval/loss": metrics["eval/loss"]} if "eval/loss" in metrics else None
                        checkpoints.save(step, state, {**run.meta, "history": history}, best)
                        ledger.last_saved = step
        checkpoints.wait()
        finished = step >= run.train.steps
        if not metrics and finished:  # killed between its last save and its summary
            metrics = run.evaluate(merge(state.params, state.frozen))
        if metrics:
            _write_summary(run, {**metrics, **ledger.totals(), "train/resumed_from": resumed_from, "step": step}, finished)
        if not finished:
            reason = signals.received.name if signals.received else "a signal"
            raise Stopped(
                f"stopped by {reason} after step {step}; the state is saved in {run.folder}. Run the same command again to go on"
            )
        return state


def jitted_step(run: Run) -> Callable[[TrainState, Any], tuple[TrainState, Sums]]:
    """`train_step` of this run: compiled once, its state donated, every array's sharding given."""

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
        with constraints(resolver(run.mesh)):
            return train_step(
                state,
                batch,
                model=run.model,
                objective=run.objective,
                optimizer=run.layout.transformation,
                num_microbatches=run.train.num_microbatches,
            )

    rows: NamedSharding = row_sharding(run.mesh, (run.padded_size,))
    shardings = run.layout.shardings
    return jax.jit(step, in_shardings=(shardings, rows), out_shardings=(shardings, None), donate_argnums=0)


class Due:
    """What a step is followed by."""

    def __init__(self, line: bool, eval: bool, save: bool):
        self.line, self.eval, self.save = line, eval, save

    @classmethod
    def of(cls, run: Run, step: int, seconds_since_save: float, stopping: bool) -> "Due":
        last = step == run.train.steps
        every, seconds = run.checkpoint.every, run.checkpoint.every_seconds
        by_steps = every is not None and step % every == 0
        by_time = seconds is not None and seconds_since_save >= seconds
        return cls(
            line=last or stopping or step % run.log.every == 0,
            eval=last or (run.train.eval_every is not None and step % run.train.eval_every == 0),
            save=last or stopping or by_steps or by_time,
        )


class Ledger:
    """Metrics of the step in flight, read once the next is on its way, and the pace."""

    def __init__(self, run: Run, last_saved: int):
        self.run, self.last_saved = run, last_saved or None
        self._held: tuple[int, Sums] | None = None
        self._tokens_per_step = run.train.batch_size * run.seq_len
        self._flops_per_token = run.model.flops_per_token(run.seq_len)
        self._peak = peak_flops(list(run.mesh.devices.flat))
        self._begun = time.perf_counter()
        self._paced: tuple[float, int] | None = None
        """(time, step) from which the pace counts: the first step, which compiles, is left out."""
        self._pace = 0.0

    def hold(self, step: int, sums: Sums) -> None:
        self._held = step, sums

    def read(self) -> dict[str, float] | None:
        """The held step's metrics; waits for the device. None: none is held.

        Raises:
          RunError: loss or gradient is not finite.
        """
        if self._held is None:
            return None
        (step, sums), self._held = self._held, None
        metrics = {f"train/{name}": float(total) / (float(weight) or 1.0) for name, (total, weight) in _host(sums).items()}
        require_finite(metrics, step, self.last_saved)
        metrics["train/learning_rate"] = float(self.run.optimizer.rate(step - 1))
        metrics["data/position"] = step * self.run.train.batch_size
        now = time.perf_counter()
        if self._paced is None:
            self._paced = now, step
        elif step > self._paced[1]:
            self._pace = (step - self._paced[1]) / (now - self._paced[0])
            metrics["perf/tokens_per_s"] = self._pace * self._tokens_per_step
            if self._peak:
                metrics["perf/mfu"] = metrics["perf/tokens_per_s"] * self._flops_per_token / self._peak
        return metrics

    def pause(self) -> Any:
        """Time within it does not count for the pace."""
        return _Pause(self)

    def totals(self) -> dict[str, float]:
        return {"train/seconds": time.perf_counter() - self._begun}


class _Pause:
    def __init__(self, ledger: Ledger):
        self.ledger = ledger

    def __enter__(self) -> None:
        self.begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self.ledger._paced is not None:
            begun, step = self.ledger._paced
            self.ledger._paced = begun + time.perf_counter() - self.begun, step


def _host(sums: Sums) -> dict[str, tuple[Any, Any]]:
    return jax.device_get(sums.metrics)


def _write_summary(run: Run, values: dict[str, Any], finished: bool) -> None:
    """`summary.json`: the last values, and how the run ended."""
    path = run.folder / "summary.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"state": "finished" if finished else "stopped", **values}, indent=2) + "\n")
    temporary.replace(path)
