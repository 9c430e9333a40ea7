"""Where metrics go."""

import struct
from pathlib import Path

import pytest

from jaxlm.core import RunError
from jaxlm.train.log import MetricsFile, TensorBoard

full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def events(folder):
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.iterdir()
    data, found = file.read_bytes(), []
    while data:  # length, its checksum, the event, its checksum
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_events_are_those_that_tensorboard_reads(tmp_path):
    log = TensorBoard(tmp_path / "tensorboard", 4)
    log.write(5, {"train/loss": 1.5, "eval/loss": 2.0})
    log.write(6, {"train/loss": 1.25})
    log.close()
    version, start, first, second = events(tmp_path / "tensorboard")
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (5, start.session_log.START)  # hides what came before from step 5 on
    assert [(value.tag, value.simple_value) for value in first.summary.value] == [("train/loss", 1.5), ("eval/loss", 2.0)]
    assert (first.step, second.step) == (5, 6)


@full
def test_metrics_on_a_full_disk(tmp_path):
    log = MetricsFile(tmp_path / "metrics.jsonl", 0)
    log._file = open("/dev/full", "w")  # noqa: SIM115  (closed below)
    with pytest.raises(RunError, match=r"^.*/metrics\.jsonl cannot be written: No space left on device\. Free some space and run"):
        log.write(1, {"train/loss": 1.0})
    log.close()


@full
def test_events_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxlm.train.log.FLUSH_SECONDS", 0)
    log = TensorBoard(tmp_path / "tensorboard", 0)
    log._writer._py_recordio_writer._writer = open("/dev/full", "wb")  # noqa: SIM115  (closed below)
    with pytest.raises(RunError, match=r"^.*/tensorboard cannot be written: No space left on device\. Free some space and run"):
        log.write(1, {"train/loss": 1.0})
    log.close()
