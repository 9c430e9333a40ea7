"""A sign of life where something takes long and cannot tell how far it is."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """While the body lasts, says `words ... N s` on stderr: on a terminal each second from the second one on, in a line that
    is wiped at the end; elsewhere in a line after 5 s, 10 s, 20 s and so on, so that a log stays short."""
    terminal, ended = sys.stderr.isatty(), threading.Event()

    def tell() -> None:
        begun = time.monotonic()
        seconds = 2 if terminal else 5
        while not ended.wait(begun + seconds - time.monotonic()):
            line = f"{words} ... {seconds} s"
            print(f"\r{line}\x1b[K" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)
            seconds = seconds + 1 if terminal else 2 * seconds
        if terminal and seconds > 2:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, name="jaxlm-waiting", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
