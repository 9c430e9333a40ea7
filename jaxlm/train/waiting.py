"""A sign of life where something takes long and cannot tell how far it is."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def waiting(words: str | Callable[[], str]) -> Iterator[None]:
    """While the body lasts, says `words ... N s` on stderr: on a terminal each second from the second one on, in a line that
    is wiped at the end; elsewhere in a line after 5 s, 10 s, 20 s and so on, so that a log stays short. `words` may be a
    function, asked each time, of what is known by then."""
    terminal, ended = sys.stderr.isatty(), threading.Event()

    def tell() -> None:
        begun = time.monotonic()
        seconds = 2 if terminal else 5
        while not ended.wait(begun + seconds - time.monotonic()):
            line = f"{words if isinstance(words, str) else words()} ... {seconds} s"
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


def awaited(words: str, items: Iterator[Item]) -> Iterator[Item]:
    """The items, of which the first, the one that takes long, is made now, with a sign of life."""
    with waiting(words):
        first = list(islice(items, 1))
    return chain(first, items)
