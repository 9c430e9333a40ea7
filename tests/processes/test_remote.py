"""Recipe, token store, run folder and checkpoints in an object store, which two processes train from."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest
from several import RECIPE, Place, ends
from stand_in import SECRET

from jaxlm.core.paths import store_of, to_path, write_whole

NUM_TOKENS = 24_000_000


@pytest.fixture
def remote(s3, tmp_path):
    """A text whose tokens are far more than a short run reads, and the recipe in the store."""
    place = Place(tmp_path)
    letters = np.random.default_rng(0).integers(97, 123, NUM_TOKENS, np.uint8)
    letters[::7], letters[6::997] = ord(" "), ord("\n")
    (tmp_path / "text.txt").write_bytes(letters.tobytes())
    (tmp_path / "tiny.py").write_text(RECIPE)
    write_whole(to_path(f"{s3.root}/tiny.py", ""), RECIPE)
    yield place
    for process in place.started:
        process.kill()
        process.communicate()


def words(recipe, run):
    short = ["--train.batch-size", "4", "--train.eval-batches", "2", "--data.validation-fraction", "0.01", "--data.split", "tail"]
    return ["-m", "jaxlm", "train", recipe, "--text", "text.txt", "--run-dir", run, *short]


@pytest.mark.slow
def test_built_trained_by_two_killed_and_gone_on(s3, remote):
    """And the same losses as a run on this machine that nobody touched."""
    cache, run = {"JAXLM_CACHE": f"{s3.root}/cache"}, f"{s3.root}/runs/two"
    alone = remote.start(words("tiny.py", "alone"), 2)
    build = words(f"{s3.root}/tiny.py", run)
    build[2:3] = ["data", "build"]
    del build[build.index("--run-dir") : build.index("--run-dir") + 2]
    told = ends([alone, remote.start(build, 1, **cache)])
    assert [code for code, _ in told] == [0, 0], told
    s3.requests.clear()

    def two():
        return [remote.start(words(f"{s3.root}/tiny.py", run), 1, **cache, **place) for place in remote.together(2)]

    processes = two()
    committed = to_path(f"{run}/checkpoints/10/commit_success.txt", "")
    while not committed.exists():
        assert all(process.poll() is None for process in processes), ends(processes)
        time.sleep(0.05)
    os.kill(processes[1].pid, signal.SIGKILL)
    found = ends(processes)
    assert [code for code, _ in found] == [76, -signal.SIGKILL], found
    again = ends(two())
    assert [code for code, _ in again] == [0, 0], again
    assert "going on after step" in again[0][1]

    lines = [json.loads(line) for line in to_path(f"{run}/metrics.jsonl", "").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 31))
    assert [line["train/loss"] for line in lines] == pytest.approx(remote.losses("alone"), rel=1e-5)
    summary = json.loads(to_path(f"{run}/summary.json", "").read_text())
    assert (summary["state"], summary["step"]) == ("finished", 30)
    assert summary["train/resumed_from"] >= 10

    tokens = s3.gets("0.train.text/0.text.tokens.")
    assert all(re.fullmatch(r"bytes=\d+-\d+", request.range) for request in tokens)
    read = sum(request.num_bytes for request in tokens)
    print(f"{len(tokens)} requests, {read:,} of {2 * NUM_TOKENS:,} bytes")
    assert 0 < read < 0.7 * 2 * NUM_TOKENS, (
        "a block of 64 KiB for each row: twice 30 steps of 4, 64 more at each of 4 starts, and ahead"
    )

    files, name = store_of(to_path(s3.root, ""))
    assert not [path for path in files.find(name) if SECRET.encode() in files.cat_file(path)]
    assert SECRET not in "".join(said for _, said in [*told, *found, *again])


@pytest.mark.slow
def test_process_0_is_killed_and_a_run_goes_on_in_one_process(s3, remote):
    cache, run = {"JAXLM_CACHE": f"{s3.root}/cache"}, f"{s3.root}/runs/zero"
    start = words(f"{s3.root}/tiny.py", run)
    [(code, said)] = ends([remote.start([*start, "--train.steps", "1", "--run-dir", f"{run}-before"], 1, **cache)])
    assert code == 0, said
    processes = [remote.start(start, 2, **cache, **place) for place in remote.together(2)]
    committed = to_path(f"{run}/checkpoints/10/commit_success.txt", "")
    while not committed.exists():
        assert all(process.poll() is None for process in processes), ends(processes)
        time.sleep(0.05)
    os.kill(processes[0].pid, signal.SIGKILL)
    assert [code for code, _ in ends(processes)] == [-signal.SIGKILL, 76]
    [(code, said)] = ends([remote.start([*start, "--mesh.data", "-1"], 3, **cache)])
    assert code == 0, said
    steps = [json.loads(line)["step"] for line in to_path(f"{run}/metrics.jsonl", "").read_text().splitlines()]
    assert steps == list(range(1, 31))
