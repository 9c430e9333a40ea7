"""Who works in a run folder, and how the last who did ended."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from jaxlm.core.errors import ConfigError, RunError, Stopped, UserError
from jaxlm.core.paths import is_remote, read_whole
from jaxlm.run.files import RunFolder
from jaxlm.run.lease import holder, is_leased, leased

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


@contextmanager
def lock_folder(folder: RunFolder) -> Iterator[None]:
    """Holds the folder for this process, until it is left or the process dies, however that happens.

    The lock's file has the process's id, then how it ended: `finished`, `stopped`, `failed: why`. In an object store it is a
    lease (`jaxlm.run.lease`).

    Raises:
      RunError: another process holds it; the message has its id.
    """
    with leased(folder.lock, lambda: in_use(folder)) if is_remote(folder.path) else _flocked(folder) as end:
        try:
            yield
        except BaseException as error:
            with suppress(OSError):  # a full disk: the error that is on its way says more
                end(_ending(error))
            raise
        with suppress(OSError):  # all is saved by now
            end(FINISHED)


@contextmanager
def _flocked(folder: RunFolder) -> Iterator[Callable[[str], None]]:
    """Gives what writes the last words to the lock's file."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(f"--run-dir: {folder.path} cannot be written: {error.strerror}. Give a folder that can.") from error
    try:
        _flock(handle, folder)
        _write(handle, str(os.getpid()))
        yield partial(_write, handle)
    finally:
        os.close(handle)  # and the lock with it; the file stays, or two processes could lock two files of one name


def _flock(handle: int, folder: RunFolder) -> None:
    for patience in (0.05, 0.1, 0):  # another process may be looking, for an instant, whether the folder is in use
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not patience:
                raise in_use(folder) from error
            time.sleep(patience)


def is_used(folder: RunFolder) -> bool:
    """Whether a process holds the folder."""
    if is_remote(folder.path):
        return is_leased(folder.lock, watch=False)
    if not folder.lock.is_file():
        return False
    with folder.lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def ending(folder: RunFolder) -> tuple[str, str] | None:
    """How the last process that held the folder left it, and why where it failed; None: it was killed, or none was there."""
    if not folder.lock.is_file():
        return None
    state, _, reason = read_whole(folder.lock).decode("utf-8").strip().partition(": ")
    return (state, reason) if state in (FINISHED, STOPPED, FAILED) else None


def refuse_if_used(folder: RunFolder) -> None:
    """Raises RunError where a process holds the folder."""
    if is_leased(folder.lock, watch=True) if is_remote(folder.path) else is_used(folder):
        raise in_use(folder)


def in_use(folder: RunFolder) -> RunError:
    pid = holder(folder.lock) if is_remote(folder.path) else folder.lock.read_text().strip() or "unknown"
    return RunError(
        f"{folder.path}: two runs in one folder: process {pid} works there. Wait for it, stop it, or give another --run-dir."
    )


def _write(handle: int, text: str) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{text}\n".encode(), 0)


def _ending(error: BaseException) -> str:
    """What is kept of an error: its first line, with its class where it is no message for users."""
    if isinstance(error, Stopped | KeyboardInterrupt):
        return STOPPED
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{FAILED}: {said if isinstance(error, UserError) and said else f'{type(error).__name__}: {said}'.rstrip(': ')}"
