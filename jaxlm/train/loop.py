"""The loop: the one place where steps, data, logs and checkpoints meet."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import Sums
from jaxlm.core.errors import Stopped, writing
from jaxlm.core.paths import write_whole
from jaxlm.parallel.compiled import compiled_together
from jaxlm.parallel.placement import Ahead, place
from jaxlm.train.ledger import Ledger
from jaxlm.train.log import ROOM, Log
from jaxlm.train.run import Hook, Run
from jaxlm.train.state import TrainState, merge
from jaxlm.train.waiting import waiting
from jaxlm.train.watch import StopSignals


def train(run: Run, *, hooks: Sequence[Hook] = ()) -> TrainState:
    """Runs to `run.train.steps`, from the newest checkpoint if there is one, and saves the last state.

    Raises:
      Stopped: SIGTERM or Ctrl-C; the state is saved.
      RunError: loss or gradient was not finite, a save failed, or data could not be read.
    """
    with ExitStack() as cleanup:
        signals = cleanup.enter_context(
            StopSignals(several=run.peers.count > 1)
        )  # left last: a save that is waited for can be interrupted too
        checkpoints = CheckpointStore(run.folder / "checkpoints", run.checkpoint)
        cleanup.callback(checkpoints.close)
        with waiting("making the first state"):
            state, history, resumed_from = run.start(checkpoints)
        step = int(state.step)
        logs = run.logs(step)
        for log in logs:
            cleanup.callback(log.close)
        host_rows = run.batches(int(state.position))
        batches = Ahead(host_rows, partial(place, partitioner=run.partitioner, num_rows=run.padded_size))
        cleanup.callback(batches.close)
        ledger = Ledger(run, last_saved=resumed_from)
        update = jitted_step(run)
        saved_at = time.monotonic()
        metrics: dict[str, float] = {}
        owed: int | None = None
        """The step whose line waits until the next step is on its way."""
        stopped_by: str | None = None
        while step < run.train.steps and stopped_by is None:
            state, sums = update(state, next(batches))
            ledger.settle()  # the step before, while the device works on this one
            if owed is not None:
                _write_line(logs, owed, ledger.read())
                owed = None
            step += 1
            run.peers.where = f"step {step}"
            ledger.hold(step, sums)
            stopped_by = signals.asked(step)  # once a step: what stops the loop has been saved
            due = Due.of(run, step, time.monotonic() - saved_at, stopped_by is not None)
            if due.line and not (due.eval or due.save or hooks):
                owed = step
            elif any(due):
                metrics = ledger.read()
                if due.eval:
                    with ledger.pause():
                        metrics |= run.evaluate(merge(state.params, state.frozen))
                if due.line or due.eval:
                    _write_line(logs, step, metrics)
                    for hook in hooks:
                        hook(step, state, metrics)
                if due.save:
                    with ledger.pause():
                        saved_at = time.monotonic()
                        for log in logs:
                            log.keep()  # before the checkpoint: whoever goes on from it has all lines up to it
                        run.peers.meet(f"checkpoint save {step}")
                        best = {"eval/loss": metrics["eval/loss"]} if "eval/loss" in metrics else None
                        with run.peers.within(f"checkpoint save {step}", run.meeting_seconds):  # and what is left of the one before
                            checkpoints.save(step, state, {**run.meta, "history": history}, best)
                        ledger.last_saved = step
        with run.peers.within("the last checkpoint", run.meeting_seconds):
            checkpoints.wait()
        finished = step >= run.train.steps
        if not metrics and finished:  # killed between its last save and its summary
            metrics = run.evaluate(merge(state.params, state.frozen))
        if metrics and run.peers.index == 0:
            _write_summary(run, {**metrics, **ledger.totals(), "train/resumed_from": resumed_from, "step": step}, finished)
        if not finished:
            assert stopped_by is not None, "only a signal stops a run before its last step"
            raise Stopped(
                f"stopped by {stopped_by} after step {step}; the state is saved in {run.folder}. "
                "Run the same command again to go on"
            )
        return state


def jitted_step(run: Run) -> Callable[[TrainState, Any], tuple[TrainState, Sums]]:
    """The run's step, which its processes compile once and together."""
    return compiled_together(run.jitted(), run.peers, "the first step", run.meeting_seconds)


class Due(NamedTuple):
    """What a step is followed by."""

    line: bool
    eval: bool
    save: bool

    @classmethod
    def of(cls, run: Run, step: int, seconds_since_save: float, stopping: bool) -> "Due":
        last = step == run.train.steps
        every, seconds = run.checkpoint.every, run.checkpoint.every_seconds
        by_steps = every is not None and step % every == 0
        line = last or stopping or step % run.log.every == 0
        by_time = seconds is not None and seconds_since_save >= seconds
        if seconds is not None and run.peers.count > 1:  # clocks differ: that of process 0 decides, asked where all wait anyway
            by_time = line and run.peers.agree(f"step {step}", by_time)
        return cls(
            line=line,
            eval=last or (run.train.eval_every is not None and step % run.train.eval_every == 0),
            save=last or stopping or by_steps or by_time,
        )


def _write_line(logs: Sequence[Log], step: int, metrics: Mapping[str, float]) -> None:
    for log in logs:
        log.write(step, metrics)


def _write_summary(run: Run, values: dict[str, Any], finished: bool) -> None:
    """`summary.json`: the last values, and how the run ended."""
    path = run.folder / "summary.json"
    with writing(path, ROOM):
        write_whole(path, json.dumps({"state": "finished" if finished else "stopped", **values}, indent=2) + "\n")
