"""What a run writes down while it goes: metrics.jsonl, TensorBoard events, a progress bar or plain lines."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from jaxlm.core.errors import writing

Metrics = Mapping[str, float]
ROOM = "Free some space and run the same command again; the checkpoints stand"
FLUSH_SECONDS = 30
"""Between the times at which TensorBoard's events are on the disk."""


class Log(Protocol):
    """A place where metrics go."""

    def write(self, step: int, metrics: Metrics) -> None: ...

    def keep(self) -> None:
        """All lines so far are where they are looked for, also if this machine is gone."""
        return None

    def close(self) -> None: ...


class MetricsFile(Log):
    """`metrics.jsonl`: one JSON object a line, flushed; no step twice, also after a resume."""

    def __init__(self, path: Path, resumed_step: int):
        self._path = path
        with writing(path, ROOM):
            self._keep_until(path, resumed_step)
            self._file = path.open("a")

    def write(self, step: int, metrics: Metrics) -> None:
        """Raises RunError where the disk is full."""
        with writing(self._path, ROOM):
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            self._file.flush()

    def close(self) -> None:
        with suppress(OSError):  # what could not be written has been said
            self._file.close()

    @staticmethod
    def _keep_until(path: Path, step: int) -> None:
        """Takes away the lines of steps that will be computed again, and a last line that a kill cut short."""
        if not path.exists():
            return
        kept = []
        for line in path.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                continue
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(kept))
        os.replace(temporary, path)


class TensorBoard(Log):
    """Event files that TensorBoard reads, written here and now: the library's own thread dies on a full disk, and whoever
    waits for it waits for ever."""

    def __init__(self, folder: Path, resumed_step: int):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder = folder
        self._flushed = time.monotonic()
        with writing(folder, ROOM):
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(folder / "events"))
        # what an earlier start wrote of these steps is hidden
        self._add(step=resumed_step + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, metrics: Metrics) -> None:
        """Raises RunError where the disk is full."""
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self._add(step=step, summary=Summary(value=values))

    def _add(self, **event: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with writing(self._folder, ROOM):
            self._writer.write_event(Event(wall_time=time.time(), **event))
            if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._writer.flush()
                self._flushed = time.monotonic()

    def close(self) -> None:
        with suppress(OSError):  # events that could not be written are in metrics.jsonl too, or it has said so
            self._writer.flush()
        with suppress(OSError):  # the library's close() leaves the file open where it cannot flush, and Python 3.13 tells of it
            self._writer._py_recordio_writer.close()


SHOWN = {
    "train/loss": "loss",
    "train/generator_nll": "generator",
    "train/discriminator_nll": "discriminator",
    "eval/loss": "eval loss",
    "eval/generator_nll": "eval generator",
    "eval/discriminator_nll": "eval discriminator",
    "eval/bits_per_byte": "bits/byte",
    "eval/bits_per_masked_byte": "bits/masked byte",
    "eval/bits_per_target_byte": "bits/target byte",
}


class PlainLines(Log):
    """A line at most every five seconds, on stderr: for pipes and files."""

    def __init__(self, steps: int):
        self.steps, self._last = steps, 0.0
        self._begun: tuple[float, int] | None = None
        """(time, step) of the first line: what came before it compiled."""

    def write(self, step: int, metrics: Metrics) -> None:
        now = time.monotonic()
        if now - self._last >= 5 or step == self.steps or any(name.startswith("eval/") for name in metrics):
            self._last = now
            words = f"step {step}/{self.steps}  {_words(metrics)}"
            if self._begun is not None and step > self._begun[1]:
                begun, first = self._begun
                words += f"  {(now - begun) / (step - first) * (self.steps - step):.0f} s left"
            print(words, file=sys.stderr, flush=True)
        self._begun = self._begun or (now, step)

    def close(self) -> None:
        pass


class ProgressBar(Log):
    """A rich bar on the terminal (stderr): step, loss, tokens/s, MFU, time left."""

    def __init__(self, steps: int, first: int, console: Any):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("compiling ...", total=steps, completed=first)
        self._progress.start()

    def write(self, step: int, metrics: Metrics) -> None:
        self._progress.update(self._task, completed=step, description=_words(metrics))
        if any(name.startswith("eval/") for name in metrics):
            self._progress.console.print(f"step {step}  {_words(metrics)}")

    def close(self) -> None:
        self._progress.stop()


def _words(metrics: Metrics) -> str:
    parts = [f"{label} {metrics[name]:.4f}" for name, label in SHOWN.items() if name in metrics]
    if "perf/tokens_per_s" in metrics:
        parts.append(f"{metrics['perf/tokens_per_s']:,.0f} tokens/s")
    if "perf/mfu" in metrics:
        parts.append(f"MFU {metrics['perf/mfu']:.0%}")
    return "  ".join(parts)


def progress(steps: int, first: int) -> Log:
    """A bar where stderr is a terminal, else plain lines."""
    from rich.console import Console

    console = Console(stderr=True)
    return ProgressBar(steps, first, console) if console.is_terminal else PlainLines(steps)
