"""What can end a run before its time: signals, and numbers that are not finite."""

import math
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any

from jaxlm.core import RunError

INTERRUPTED = 130
"""The exit code of a process that Ctrl-C ended at once."""


GRACE = 2.0
"""Seconds that a second Ctrl-C leaves to an orderly end, before the process is ended as it is."""


class StopSignals:
    """Within it, the first SIGTERM or SIGINT only sets `received`; a SIGINT after it ends the process, exit code 130.

    Python runs handlers between two of its own instructions, and a compilation is one that can take minutes. So a thread
    reads signals as they come (`signal.set_wakeup_fd`): what KeyboardInterrupt has not ended `GRACE` seconds after the
    second SIGINT, it ends. The system queues no signals: two SIGINTs within about a millisecond, or while the process does
    not get to run, are one to it, and to us. Outside the main thread, where Python allows no handlers, nothing is done.
    """

    def __init__(self, several: bool = False) -> None:
        """Args:
        several: this process is one of several, which stop together after a step that they agree on. JAX sees to that
          (its preemption service), and SIGTERM is its own, of which nothing is known here; Ctrl-C is handed on as one.
        """
        self.several = several
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._left = threading.Event()

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT,) if self.several else (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="jaxlm-signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
            os.close(self._writing)  # and with it ends the thread
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        if self.several:
            os.kill(os.getpid(), signal.SIGTERM)

    def asked(self, step: int) -> str | None:
        """What asks the run to end after this step; with several processes after the same in all."""
        if not self.several:
            return None if self.received is None else self.received.name
        from jax.experimental import multihost_utils

        return "SIGTERM or Ctrl-C at one of the processes" if multihost_utils.reached_preemption_sync_point(step) else None

    def _watch(self) -> None:
        stopping = False
        while byte := os.read(self._reading, 1):
            if stopping and byte[0] == signal.SIGINT and not self._left.wait(GRACE):
                print("interrupted: left at once; the same command goes on from the last save", file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)
            if not stopping and byte[0] in (signal.SIGINT, signal.SIGTERM):
                stopping = True
                print("stopping: this step is ended and saved (Ctrl-C again: at once)", file=sys.stderr, flush=True)
        os.close(self._reading)


def require_finite(metrics: Mapping[str, float], step: int, last_saved: int | None) -> None:
    """Raises RunError where loss or gradient is not finite; it names the step and what still stands."""
    for name in ("train/loss", "train/grad_norm"):
        if not math.isfinite(metrics[name]):
            stands = f"the checkpoint of step {last_saved} stands" if last_saved else "no checkpoint was written"
            raise RunError(
                f"{name} is {metrics[name]} at step {step}; {stands}. Lower optimizer.learning_rate, lengthen "
                "optimizer.warmup_steps, or look at the batch: jaxlm data show RUN --step "
                f"{step}"
            )
