"""A sign of life: short in a log, wiped from a terminal."""

import io
import time

import pytest

from jaxlm.train import waiting as module
from jaxlm.train.waiting import awaited, waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A tenth of a second is five."""
    begun = time.monotonic()
    monkeypatch.setattr(module, "time", type("Clock", (), {"monotonic": lambda: begun + 50 * (time.monotonic() - begun)}))
    wait = module.threading.Event.wait
    monkeypatch.setattr(module.threading.Event, "wait", lambda self, seconds=None: wait(self, seconds and seconds / 50))


def said(monkeypatch, stream, seconds):
    monkeypatch.setattr("sys.stderr", stream)
    with waiting("tokenizer: training"):
        time.sleep(seconds)
    return stream.getvalue()


def test_a_log_has_few_lines(clock, monkeypatch):
    lines = said(monkeypatch, io.StringIO(), 0.7).splitlines()  # 35 s
    assert lines == [f"tokenizer: training ... {seconds} s" for seconds in (5, 10, 20)]


def test_a_terminal_has_one_line_that_is_wiped(clock, monkeypatch):
    written = said(monkeypatch, Terminal(), 0.15)  # 7 s
    assert written.startswith("\rtokenizer: training ... 2 s\x1b[K\rtokenizer: training ... 3 s\x1b[K")
    assert written.endswith("\r\x1b[K")
    assert "\n" not in written


def test_what_is_short_says_nothing(monkeypatch):
    assert said(monkeypatch, Terminal(), 0.01) == ""


def test_an_error_passes_and_ends_it(monkeypatch):
    with pytest.raises(ValueError, match="no text"), waiting("tokenizer: training"):
        raise ValueError("no text")
    assert "jaxlm-waiting" not in [thread.name for thread in module.threading.enumerate()]


def test_what_is_said_may_change(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    counted = iter(range(9))
    with waiting(lambda: f"{next(counted)} documents"):
        time.sleep(0.25)  # 12 s
    assert stream.getvalue() == "0 documents ... 5 s\n1 documents ... 10 s\n"


def test_the_first_of_some_items_is_waited_for(clock, monkeypatch):
    made = []

    def items():
        time.sleep(0.15)  # 7 s
        for number in range(3):
            made.append(number)
            yield number

    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    given = awaited("compiling", items())
    assert (made, stream.getvalue()) == ([0], "compiling ... 5 s\n")
    assert list(given) == [0, 1, 2]
    assert list(awaited("compiling", iter(()))) == []
