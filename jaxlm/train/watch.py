"""What can end a run before its time: signals, and numbers that are not finite."""

import math
import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any

from jaxlm.core import RunError, UserError


class Stopped(UserError):
    """A signal ended the run and the state is saved: the same command goes on."""

    exit_code = 75


class StopSignals:
    """Within it, the first SIGTERM or SIGINT only sets `received`; a second SIGINT raises KeyboardInterrupt at once.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)
        except ValueError:
            self._before.clear()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)


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
