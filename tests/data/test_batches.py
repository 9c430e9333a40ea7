import importlib.util
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from itertools import islice
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from data_fakes import ByteTokenizer, Faulty, Next, examples_of, items

from jaxlm.data import Batches, iterate, write_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("batches") / "store", items(100) + items(60, "web", seed=1), ByteTokenizer())


@pytest.fixture(scope="module")
def examples(store):
    return examples_of(store, Next(), seq_len=16, weights=(1, 2))


def same(first, second):
    return first.keys() == second.keys() and all((first[k] == second[k]).all() for k in first)


def test_a_batch_is_its_positions_then_padding(examples):
    batches = Batches(examples, batch_size=5, start_position=100, padded_size=8)
    assert batches[0]["row"].tolist() == [100, 101, 102, 103, 104, -1, -1, -1]
    assert batches[7]["row"].tolist() == [135, 136, 137, 138, 139, -1, -1, -1]
    assert same(batches[7], examples.batch(batches.positions(7)))
    assert not batches[7]["weights"][5:].any()


def test_a_finite_pass_ends_in_padding(examples):
    batches = Batches(examples, batch_size=4, start_position=0, num_rows_total=10, padded_size=6)
    assert len(batches) == 3
    assert batches[2]["row"].tolist() == [8, 9, -1, -1, -1, -1]
    with iterate(batches) as iterator:
        assert [b["row"].max() for b in iterator] == [3, 7, 9]


@pytest.mark.parametrize("rows", [[0, 1, 2], [3, 4, 5], [5, 0, 4], [1]])
def test_a_process_reads_its_own_rows(examples, rows):
    whole = Batches(examples, batch_size=5, start_position=12, padded_size=6)
    own = Batches(examples, batch_size=5, start_position=12, padded_size=6, rows=np.array(rows))
    for k in (0, 3):
        assert all((own[k][name] == whole[k][name][rows]).all() for name in whole[k])


def test_rows_outside_the_batch_are_a_fault(examples):
    with pytest.raises(AssertionError, match="outside the batch"):
        Batches(examples, batch_size=4, start_position=0, rows=np.array([4]))


@pytest.mark.parametrize("start", [0, 7, 4000, 10**9])
def test_going_on_from_any_position_is_going_on(examples, start):
    whole = Batches(examples, batch_size=4, start_position=start)
    later = Batches(examples, batch_size=4, start_position=start + 8)
    wider = Batches(examples, batch_size=8, start_position=start + 8)
    assert same(whole[3], later[1])
    assert all((wider[0][name] == np.concatenate([whole[2][name], whole[3][name]])).all() for name in whole[2])


def threads():
    return [t for t in threading.enumerate() if t.name.startswith(("grain", "data"))]


def await_none(find):
    deadline = time.monotonic() + 10
    while find() and time.monotonic() < deadline:
        time.sleep(0.05)
    return find()


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_batches_are_the_same_with_any_number_of_workers(examples, num_workers):
    batches = Batches(examples, batch_size=5, start_position=3, padded_size=6)
    with iterate(batches, num_workers=num_workers) as iterator:
        for k, batch in enumerate(islice(iterator, 7)):
            expected = batches[k]
            assert same(batch, expected)
            assert {n: a.dtype for n, a in batch.items()} == {n: a.dtype for n, a in expected.items()}
            assert all(type(a) is np.ndarray and a.flags.c_contiguous for a in batch.values())
    assert list(iterator) == []
    assert await_none(threads) == []
    assert await_none(multiprocessing.active_children) == []


def test_arrays_outlive_the_iterator(examples):
    batches = Batches(examples, batch_size=64, start_position=0)
    with iterate(batches, num_workers=1) as iterator:
        tokens = next(iterator)["tokens"]
        for _ in range(5):
            next(iterator)
    assert (tokens == batches[0]["tokens"]).all()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_finite_pass_ends_with_workers_too(examples, num_workers):
    batches = Batches(examples, batch_size=4, start_position=0, num_rows_total=11)
    with iterate(batches, num_workers=num_workers) as iterator:
        assert [b["row"].tolist() for b in iterator] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, -1]]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_errors_of_a_row_reach_the_caller(store, num_workers):
    batches = Batches(examples_of(store, Faulty(), seq_len=16), batch_size=4, start_position=0)
    with iterate(batches, num_workers=num_workers) as iterator, pytest.raises(ValueError, match="this row cannot be prepared"):
        next(iterator)
    assert await_none(multiprocessing.active_children) == []


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_iterator_that_is_forgotten_ends(examples, num_workers):
    iterator = iterate(Batches(examples, batch_size=4, start_position=0), num_workers=num_workers)
    next(iterator)
    del iterator
    assert await_none(threads) == []
    assert await_none(multiprocessing.active_children) == []


def test_closing_at_once_and_twice(examples):
    iterator = iterate(Batches(examples, batch_size=4, start_position=0), num_workers=1)
    iterator.close()
    iterator.close()
    assert await_none(multiprocessing.active_children) == []


def test_an_objective_of_a_recipe_loaded_by_path_works_in_workers(store, tmp_path):
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text(
        textwrap.dedent("""
        from data_fakes import Next

        class Doubled(Next):
            def prepare(self, windows, rng, vocab, seq_len):
                return {"tokens": 2 * windows[0].ids_N}
        """)
    )
    spec = importlib.util.spec_from_file_location("my_recipe", recipe)
    module = importlib.util.module_from_spec(spec)
    sys.modules["my_recipe"] = module
    try:
        spec.loader.exec_module(module)
        cloudpickle.register_pickle_by_value(module)
        batches = Batches(examples_of(store, module.Doubled(), seq_len=16), batch_size=4, start_position=0)
        with iterate(batches, num_workers=2) as iterator:
            assert all(same(batch, batches[k]) for k, batch in enumerate(islice(iterator, 4)))
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["my_recipe"]


TRAINER = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
from data_fakes import Next, examples_of
from jaxlm.core import RunError
from jaxlm.data import Batches, iterate, open_store


def disturb(iterator):
    while not multiprocessing.active_children():
        time.sleep(0.01)
    [worker] = multiprocessing.active_children()
    for moment in range(20):  # while it starts too
        os.kill(worker.pid, signal.SIGINT if moment % 2 else signal.SIGTERM)
        time.sleep(0.02)
    print(*(next(iterator)["row"][0] for _ in range(3)))
    os.kill(worker.pid, signal.SIGKILL)
    try:
        while True:
            next(iterator)
    except RunError as error:
        print(error)


if __name__ == "__main__":
    batches = Batches(examples_of(open_store(Path(sys.argv[1])), Next(), seq_len=16), batch_size=4, start_position=0)
    iterator = iterate(batches, num_workers=int(sys.argv[2]))
    if sys.argv[3] == "disturb":
        disturb(iterator)
    elif sys.argv[3] == "keep":
        sys.kept = [next(iterator) for _ in range(3)]  # to Python's very end, as jax keeps what it placed without a copy
        iterator.close()
    else:
        next(iterator)
        print(*(p.pid for p in multiprocessing.active_children()), flush=True)
        time.sleep(60 if sys.argv[3] == "wait" else 0)
"""


def trainer(tmp_path, *arguments):
    """A program of its own, fresh, that reads batches."""
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, script, *arguments], **pipes, env=environment, text=True)


def test_workers_leave_signals_to_the_trainer_and_a_killed_one_is_named(store, tmp_path):
    with trainer(tmp_path, store.path, "1", "disturb") as process:
        rows, message = process.communicate(timeout=60)[0].splitlines()
    assert rows == "0 4 8"
    assert re.search(r"a data worker died .* exit code -9.* fewer data\.num_workers, or 0", message)


@pytest.mark.parametrize("end", ["killed", "left without closing"])
def test_workers_end_with_the_trainer(store, tmp_path, end):
    with trainer(tmp_path, store.path, "2", "wait" if end == "killed" else "leave") as process:
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        if end == "killed":
            process.kill()
        assert process.wait(40) == (-signal.SIGKILL if end == "killed" else 0)
        assert end == "killed" or not process.stderr.read()
    assert await_none(lambda: [pid for pid in workers if alive(pid)]) == []


def test_batches_that_are_kept_to_the_end_leave_no_shared_memory(store, tmp_path):
    with trainer(tmp_path, store.path, "1", "keep") as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_the_room_does_not_load_jax():
    code = "import sys, jaxlm.data; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
