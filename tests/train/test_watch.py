"""Signals: the first asks, the second ends, also where Python itself would not come to its turn."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlm.train.watch import StopSignals

ASKED = "stopping: this step is ended and saved (Ctrl-C again: at once)\n"

BUSY = """
import hashlib
from jaxlm.train import watch

watch.GRACE = 0.1
with watch.StopSignals() as signals:
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # as a compilation: minutes without a Python instruction
"""


@pytest.fixture
def busy():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", BUSY]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_second_ctrl_c_ends_what_does_not_listen(busy):
    busy.send_signal(signal.SIGINT)
    assert busy.stderr.readline() == ASKED
    with pytest.raises(subprocess.TimeoutExpired):
        busy.wait(timeout=0.5)  # the first one waits
    busy.send_signal(signal.SIGINT)
    assert busy.wait(timeout=30) == 130
    assert busy.stderr.read() == "interrupted: left at once; the same command goes on from the last save\n"


def test_a_second_sigterm_goes_on_waiting(busy):
    for _ in range(2):
        busy.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            busy.wait(timeout=0.5)


def test_python_that_listens_is_interrupted_and_all_is_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signals = StopSignals()
    with pytest.raises(KeyboardInterrupt), signals:  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        assert signals.received is signal.SIGTERM
        signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1
