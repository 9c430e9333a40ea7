"""The lock of a run folder in an object store."""

import os
import subprocess
import sys
import threading
import time

import pytest

from jaxlm.core import RunError
from jaxlm.core.paths import to_path, write_whole
from jaxlm.run import lease
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import ending, is_used, lock_folder, refuse_if_used


@pytest.fixture
def folder(s3, monkeypatch):
    monkeypatch.setattr(lease, "BEAT", 0.3)
    monkeypatch.setattr(lease, "PATIENCE", 4.0)
    monkeypatch.setattr(lease, "SETTLE", 0.1)
    return RunFolder(to_path(f"{s3.root}/run", ""))


def test_a_second_process_is_refused_while_the_first_works(folder):
    refuse_if_used(folder)
    with lock_folder(folder):
        assert is_used(folder)
        words = rf"{folder.path}: two runs in one folder: process {os.getpid()} on \S+ works there\. Wait for it, stop it, or"
        with pytest.raises(RunError, match=words):
            refuse_if_used(folder)
        assert ending(folder) is None
    assert not is_used(folder)
    assert ending(folder) == ("finished", "")
    refuse_if_used(folder)


def test_how_it_failed_is_written_down(folder):
    with pytest.raises(RunError), lock_folder(folder):
        raise RunError("the disk is full: free some")
    assert ending(folder) == ("failed", "the disk is full: free some")


def test_the_lock_of_a_process_that_was_killed_here_is_taken_at_once(folder):
    pid = int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True).stdout)
    write_whole(folder.lock, f"{pid} on {lease._machine()} abc\nbeat 3\n")
    begun = time.monotonic()
    refuse_if_used(folder)
    assert time.monotonic() - begun < 1
    with lock_folder(folder):
        assert is_used(folder)


def test_another_hosts_lock_is_watched_and_taken_where_nothing_moves(folder):
    """Its clock is never asked."""
    write_whole(folder.lock, "12 on elsewhere/pid:[1] abc\n")
    assert is_used(folder), "to a table of runs it is at work, as far as one can see"
    begun = time.monotonic()
    refuse_if_used(folder)
    assert time.monotonic() - begun >= 4
    moving = threading.Timer(1.0, write_whole, [folder.lock, "12 on elsewhere/pid:[1] abc\nbeat 1\n"])
    moving.start()
    with pytest.raises(RunError, match="process 12 on elsewhere works there"):
        refuse_if_used(folder)


def test_it_is_read_while_it_is_written(folder):
    """Two requests, one that asks what there is and one that reads it, would find another object there now and then."""
    ended = threading.Event()

    def write():
        while not ended.is_set():
            write_whole(folder.lock, f"12 on elsewhere/pid:[1] abc\nbeat {time.monotonic()}\n")

    write_whole(folder.lock, "12 on elsewhere/pid:[1] abc\n")
    writing = threading.Thread(target=write)
    writing.start()
    try:
        assert {lease.holder(folder.lock) for _ in range(60)} == {"12 on elsewhere"}
    finally:
        ended.set()
        writing.join()


def test_one_of_two_that_begin_at_once_goes_on(folder):
    """The other wrote between our word and our second look."""
    write = lease.write_whole

    def and_another(path, words):
        write(path, words)
        write(path, "12 on elsewhere/pid:[1] abc\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "write_whole", and_another)
        with pytest.raises(RunError, match="process 12 on elsewhere works there"), lock_folder(folder):
            pytest.fail("both went on")
    assert folder.lock.read_text().startswith("12 on")


def test_who_was_silent_too_long_ends_where_another_has_taken_over(s3, folder, tmp_path):
    code = f"""
import time
from jaxlm.core.paths import to_path, write_whole
from jaxlm.run import lease
from jaxlm.run.files import RunFolder
from jaxlm.run.lock import lock_folder
lease.BEAT = 0.3
folder = RunFolder(to_path({str(folder.path)!r}, ""))
with lock_folder(folder):
    write_whole(folder.lock, "12 on elsewhere/pid:[1] abc\\n")
    time.sleep(20)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == lease.LOST
    assert f"{folder.lock} is another process's by now" in ended.stderr
    assert folder.lock.read_text() == "12 on elsewhere/pid:[1] abc\n"
