"""Metrics of a run in an object store."""

import json
import logging
import time

import pytest

from jaxlm.core import RunError
from jaxlm.core.paths import to_path, write_whole
from jaxlm.train.log import MetricsFile
from jaxlm.train.upload import Upload


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()] if path.exists() else []


def eventually(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


@pytest.fixture
def run(s3):
    return to_path(f"{s3.root}/run", "")


def test_lines_come_after_some_seconds_when_kept_and_at_the_end(s3, run):
    upload = Upload(run, 0.5)
    metrics = MetricsFile(upload.folder / "metrics.jsonl", 0)
    metrics.write(1, {"train/loss": 1.0})
    eventually(lambda: steps(run / "metrics.jsonl") == [1])
    metrics.write(2, {"train/loss": 1.0})
    upload.keep()
    assert steps(run / "metrics.jsonl") == [1, 2]
    num_puts = len([request for request in s3.requests if request.method == "PUT"])
    time.sleep(1.2)
    assert len([request for request in s3.requests if request.method == "PUT"]) == num_puts, "nothing is new"
    metrics.write(3, {"train/loss": 1.0})
    metrics.close()
    upload.close()
    assert steps(run / "metrics.jsonl") == [1, 2, 3]
    assert not upload.folder.exists()


def test_a_run_that_goes_on_has_its_lines_up_to_there_and_none_twice(run):
    write_whole(run / "metrics.jsonl", "".join(f'{{"step": {step}}}\n' for step in (1, 2, 3, 4)) + '{"st')
    upload = Upload(run, 60, ("metrics.jsonl",))
    metrics = MetricsFile(upload.folder / "metrics.jsonl", 2)
    metrics.write(3, {})
    metrics.close()
    upload.close()
    assert steps(run / "metrics.jsonl") == [1, 2, 3]


def test_a_store_that_takes_nothing_for_a_while_stops_no_step(s3, caplog):
    upload = Upload(to_path("s3://bucket/locked/run", ""), 0.2)
    (upload.folder / "metrics.jsonl").write_text("{}\n")
    with caplog.at_level(logging.WARNING):
        eventually(lambda: "metrics could not be uploaded to s3://bucket/locked/run" in caplog.text)
    assert "trying again in 0.2 s" in caplog.text
    with pytest.raises(
        RunError, match=r"^s3://bucket/locked/run cannot be written: .*Access Denied\S* The checkpoints stand: run the"
    ):
        upload.keep()
    with pytest.raises(RunError, match="cannot be written"):
        upload.close()
