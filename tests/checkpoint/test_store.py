import errno
import logging
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny

from jaxlm.checkpoint import store as module
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import RunError
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.state import init_state, layout


def made(sizes, seed=0):
    partitioner = Partitioner.of(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
    model = tiny.model("gpt2")
    plan = layout(model, AdamW(steps=1), partitioner)
    return plan, init_state(model, plan, seed, partitioner)


@pytest.fixture(scope="module")
def state():
    return made((2, 2, 2))[1]


def raw(tree):
    leaves = [jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in jax.tree.leaves(tree)]
    return [np.asarray(leaf) for leaf in leaves]


def same(a, b):
    return all((x == y).all() for x, y in zip(raw(a), raw(b), strict=True))


def test_a_state_comes_back_to_the_bit_also_onto_another_mesh(tmp_path, state):
    store = CheckpointStore(tmp_path, CheckpointConfig())
    assert store.latest is None
    store.save(3, state, {"history": [[0, 0, 4]]})
    assert store.latest == 3
    for sizes in [(2, 2, 2), (1, 1, 1)]:
        plan, _ = made(sizes, seed=1)
        restored, meta = store.restore(plan.abstract)
        assert same(restored, state)
        assert meta == {"history": [[0, 0, 4]]}
        assert restored.params["embed"]["table"].sharding == plan.shardings.params["embed"]["table"]
        assert same(store.restore_params(plan.abstract.params), state.params)
    store.close()


def test_the_newest_the_best_and_the_marked_are_kept(tmp_path, state):
    store = CheckpointStore(tmp_path, CheckpointConfig(keep=2, keep_best=1, keep_every=4))
    for step in range(1, 8):
        store.save(step, state, {"history": []}, {"eval/loss": abs(step - 3.0)} if step < 6 else None)
    store.close()
    assert sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()) == [3, 4, 6, 7]


def test_what_is_missing_or_damaged_is_named(tmp_path, state):
    plan, _ = made((1, 1, 1))
    store = CheckpointStore(tmp_path, CheckpointConfig())
    with pytest.raises(RunError, match="holds no checkpoint"):
        store.restore(plan.abstract)
    store.save(5, state, {"history": []})
    store.wait()
    for file in (tmp_path / "5" / "params").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(RunError, match=r"checkpoint .*/5 could not be restored: .*remove that folder and run again"):
        store.restore(plan.abstract)
    store.close()


FULL = """
import resource, signal, sys
from pathlib import Path
from typing import Any, NamedTuple
import jax.numpy as jnp
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import RunError

class State(NamedTuple):
    step: Any
    params: Any

folder = Path(sys.argv[1])
state = State(jnp.zeros((), jnp.int32), {"kernel": jnp.arange(3000.0)})
store = CheckpointStore(folder, CheckpointConfig())
store.save(1, state, {"history": []})
store.wait()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # no file may grow beyond it: as on a full disk
store.save(2, state, {"history": []})
try:
    store.close()
except RunError as error:
    print(error)
again = CheckpointStore(folder, CheckpointConfig(), read_only=True)
print(again.latest, (again.restore(state)[0].params["kernel"] == state.params["kernel"]).all())
again.close()
"""


DAMAGED = """
import gc, sys
from pathlib import Path
from typing import Any, NamedTuple
import jax.numpy as jnp
from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import RunError

class State(NamedTuple):
    step: Any
    params: Any

folder = Path(sys.argv[1])
state = State(jnp.zeros((), jnp.int32), {f"kernel{i}": jnp.arange(3000.0) for i in range(20)})
store = CheckpointStore(folder, CheckpointConfig())
store.save(1, state, {"history": []})
store.wait()
for file in (folder / "1" / "params").rglob("*"):
    if file.is_file() and (file.parent.name == "d" if sys.argv[2] == "arrays" else file.name == sys.argv[2]):
        file.write_bytes(file.read_bytes()[: 50 * (sys.argv[2] == "arrays")])
for _ in range(3):
    try:
        store.restore_params(state.params)
    except RunError as error:
        print(error)
gc.collect()
"""


@pytest.mark.parametrize(("what", "words"), [("arrays", "OUT_OF_RANGE: "), ("_METADATA", "a part of it is missing or broken.")])
def test_of_a_damaged_checkpoint_one_message_is_said(tmp_path, what, words):
    """By Orbax, where one of many arrays cannot be read, pages come to stderr, from its other tasks."""
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, tmp_path / "runs", what], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith(f"checkpoint {tmp_path / 'runs' / '1'} could not be restored: {words}")
        assert line.endswith(" If it is damaged, remove that folder and run again from the one before")


def test_a_save_that_fails_is_said_once_and_the_one_before_it_stands(tmp_path):
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    del environment["JAX_COMPILATION_CACHE_DIR"]
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "runs"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    words, stands = done.stdout.splitlines()
    assert words.startswith(f"checkpoint in {tmp_path / 'runs'} could not be saved: ")
    assert "File too large" in words
    assert words.endswith("The checkpoints before it stand; free some room or mend the folder, and run the same command again")
    assert stands == "1 True"
    assert "Traceback" not in done.stderr


def test_what_else_failed_of_a_save_is_not_told_by_asyncio(tmp_path):
    logger, told, listening = logging.getLogger("asyncio"), [], logging.Handler()
    listening.emit = lambda record: told.append(record.getMessage())
    logger.addHandler(listening)
    words = ("Future exception was never retrieved\nfuture: <Future finished>", "Executing took 3 seconds")

    def said():
        told.clear()
        for message in words:
            logger.handle(logger.makeRecord("asyncio", logging.ERROR, "", 0, message, (), None))
        return tuple(told)

    logger.removeFilter(module._is_news)  # of a test before this one
    assert said() == words
    with closing(CheckpointStore(tmp_path, CheckpointConfig())) as store:
        store._unsaved(OSError("No space left"))
    assert said() == words[1:]
    logger.removeHandler(listening)


def test_a_save_whose_folders_cannot_be_made_is_said(tmp_path, state, monkeypatch):
    store = CheckpointStore(tmp_path, CheckpointConfig())

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store._checkpointer, "save_checkpointables_async", full)
    with pytest.raises(
        RunError, match=rf"^checkpoint in {tmp_path} could not be saved: .*No space left on device\. The checkpoints"
    ):
        store.save(1, state, {"history": []})
    store.close()


def test_each_part_can_be_read_alone(tmp_path, state):
    """Parameters without the rest of the state (to generate), and the config without any array."""
    store = CheckpointStore(tmp_path, CheckpointConfig())
    store.save(1, state, {"config": {"seed": 1}})
    store.save(2, state._replace(params=jax.tree.map(lambda x: x + 1, state.params)), {"config": {"seed": 2}})
    abstract = made((1, 1, 1))[0].abstract.params
    assert same(store.restore_params(abstract, step=1), state.params)
    assert not same(store.restore_params(abstract), state.params)
    assert (store.meta(1), store.meta()) == ({"config": {"seed": 1}}, {"config": {"seed": 2}})
    store.close()


def test_a_state_of_other_shapes_is_refused(tmp_path, state):
    store = CheckpointStore(tmp_path, CheckpointConfig())
    store.save(1, state, {"history": []})
    partitioner = Partitioner.of(MeshConfig(1, 1, 1), jax.devices()[:1])
    wider = layout(tiny.model("gpt2", embed_dim=64), AdamW(steps=1), partitioner)
    for attempt in (
        lambda: store.restore(wider.abstract),
        lambda: store.restore_params(wider.abstract.params),
        lambda: store.require_params(wider.abstract.params, step=1),
    ):
        with pytest.raises(RunError) as error:
            attempt()
        assert str(error.value) == (
            f"checkpoint {tmp_path / '1'} is of another model: parameter decoder_0/block_0/attention/key is (2, 32, 4, 8) there and "
            "(2, 64, 4, 16) by config and tokenizer. Bring back the config.json and tokenizer/ that it was saved with"
        )
    store.require_params(made((1, 1, 1))[0].abstract.params)
    store.close()


def test_what_ended_a_save_is_told_however_long_the_way_to_it(tmp_path, state, monkeypatch):
    """TensorStore names each file on its way, and what the system said last."""
    store = CheckpointStore(tmp_path, CheckpointConfig())
    error = OSError(f'Error writing "step": {"Error writing local file: " * 30}No space left on device')
    monkeypatch.setattr(store, "_checkpointer", Refuses(error))
    with pytest.raises(RunError) as refused:
        store.save(3, state, {})
    told = str(refused.value)
    assert told.startswith(f'checkpoint in {tmp_path} could not be saved: Error writing "step"')
    assert "No space left on device. The checkpoints before it stand" in told
    assert len(told) < 300 + len(str(tmp_path)) + 200


class Refuses:
    def __init__(self, error):
        self.error = error

    def save_checkpointables_async(self, *args, **kwargs):
        raise self.error
