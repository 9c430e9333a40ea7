"""The lock of a run folder in an object store, which has none of its own: an object that its holder writes anew now and then.

Whoever finds one waits for the next sign of life: where it comes the folder is in use, where none comes in `PATIENCE` seconds, or
its process is gone from this very machine, it is taken over. No clock is compared with another machine's but where runs are
listed, which does not wait. Two that begin in the
same second both write; the one whose word stands a moment later goes on.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from jaxlm.core.errors import RunError
from jaxlm.core.paths import cloud_errors, read_whole, store_of, write_whole
from jaxlm.train.waiting import waiting

BEAT = 10.0
"""Seconds between signs of life."""
PATIENCE = 35.0
SETTLE = 1.0
LOST = 1
"""The exit code of a process whose folder was taken over: it was frozen, or could not reach the store, for `PATIENCE`."""


@contextmanager
def leased(path: Path, in_use: Callable[[], RunError]) -> Iterator[Callable[[str], None]]:
    """Holds the object at `path`, and gives what writes the last words there.

    Raises:
      RunError: another has it.
      OSError: the store takes nothing.
    """
    token, ended = uuid4().hex[:12], threading.Event()
    write_whole(path, words := f"{os.getpid()} on {_machine()} {token}\n")
    time.sleep(SETTLE)
    if token not in _read(path):
        raise in_use()

    def beat() -> None:
        number = 0
        while not ended.wait(BEAT):
            number += 1
            with suppress(OSError):  # the next one may come through
                if (found := _read(path)) and token not in found:  # one that is gone is written again
                    said = f"{path} is another process's by now: this one gave no sign of life for too long, and ends"
                    print(said, file=sys.stderr, flush=True)
                    os._exit(LOST)
                write_whole(path, f"{words}beat {number}\n")

    thread = threading.Thread(target=beat, name="jaxlm-lease", daemon=True)
    thread.start()

    def end(last: str) -> None:
        ended.set()
        thread.join()
        write_whole(path, f"{last}\n")

    try:
        yield end
    finally:
        ended.set()


def is_leased(path: Path, *, watch: bool) -> bool:
    """Whether somebody holds the object.

    Args:
      watch: wait for a sign of life, for `PATIENCE` seconds at most; False: believe one that is not older.
    """
    words = _read(path)
    pid, _, rest = words.partition(" on ")
    if not pid.isdecimal() or (rest.startswith(f"{_machine()} ") and not _lives(int(pid))):
        return False
    if not watch:
        files, name = store_of(path)
        with suppress(FileNotFoundError), cloud_errors():
            return time.time() - files.modified(name).timestamp() < PATIENCE
        return False
    until = time.monotonic() + PATIENCE
    with waiting(f"{path}: process {holder(path)} may be at work there; waiting for a sign of life"):
        while time.monotonic() < until:
            time.sleep(1)
            if (now := _read(path)) != words:
                return now.partition(" on ")[0].isdecimal()
    return False


def holder(path: Path) -> str:
    """`PID on HOST`."""
    return _read(path).partition("/")[0].strip() or "unknown"


def _read(path: Path) -> str:
    try:
        return read_whole(path).decode()
    except FileNotFoundError:
        return ""


def _machine() -> str:
    """This host, and where its ids of processes count: in containers of one host the same id is several processes."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = "-"
    return f"{socket.gethostname()}/{namespace}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
