"""Ctrl-C outside of the training loop ends the process at once, in a line."""

import json
import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130
FLUSH = 0.5
"""Seconds that a reader of our output has to take what is left of it."""

_ending = threading.Lock()


def end_on_interrupt() -> None:
    """From now on Ctrl-C ends the process with a line and exit code 130.

    KeyboardInterrupt would not: raised within a callback of jax's it is printed and forgotten, raised while a library of C++
    is loaded it aborts the process. All files are written so that a kill harms none. The training loop, which saves first,
    has its own handler (`jaxlm.train.watch`) for as long as it lasts. Where Ctrl-C is ignored, as after `nohup`, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _handle)


def listen() -> None:
    """Lets Ctrl-C end the process also where Python would not come to its turn: a compilation, a tokenizer's training.

    A thread does it, and with it comes a heap of its own, which `keep_pages` must have forbidden before: with two heaps a
    CPU run gets 22 million page faults where it had 38 thousand, and half the tokens a second. Without `end_on_interrupt`
    nothing is done.
    """
    if signal.getsignal(signal.SIGINT) is not _handle:
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name="jaxlm-interrupt", daemon=True).start()


def _handle(_number: int, _frame: FrameType | None) -> None:
    _end()


def _watch(reading: int) -> None:
    while os.read(reading, 1)[0] != signal.SIGINT:
        pass
    _end()


def _end() -> None:
    if not _ending.acquire(blocking=False):  # the other of handler and thread is at it
        return
    line = b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n"  # a terminal has shown ^C
    os.write(2, line)  # no Python file: the main thread may hold its lock
    flushing = threading.Thread(target=sys.stdout.flush, daemon=True)
    flushing.start()
    flushing.join(FLUSH)
    if "--json" in sys.argv:
        os.write(1, json.dumps({"error": "interrupted", "exit_code": INTERRUPTED}).encode() + b"\n")
    os._exit(INTERRUPTED)
