"""Checkpoints in an object store: Orbax's own, by TensorStore's S3."""

from contextlib import closing

import jax
import numpy as np
import pytest
import tiny

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import RunError
from jaxlm.core.paths import store_of, to_path
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.run.files import COMMITTED, RunFolder
from jaxlm.train.state import init_state, layout


def made(sizes, seed=0, **model):
    partitioner = Partitioner.of(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
    model = tiny.model("gpt2", **model)
    plan = layout(model, AdamW(steps=1), partitioner)
    return plan, init_state(model, plan, seed, partitioner)


def same(a, b):
    keys = lambda tree: [jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in tree]
    pairs = zip(keys(jax.tree.leaves(a)), keys(jax.tree.leaves(b)), strict=True)
    return all((np.asarray(x) == np.asarray(y)).all() for x, y in pairs)


@pytest.fixture(scope="module")
def state():
    return made((2, 2, 2))[1]


@pytest.fixture
def folder(s3):
    return RunFolder(to_path(f"{s3.root}/run", ""))


def test_a_state_comes_back_to_the_bit_also_onto_another_mesh(folder, state):
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig())) as store:
        assert store.latest is folder.last_step() is None
        store.save(3, state, {"history": [[0, 0, 4]]})
        assert store.latest == folder.last_step() == 3
        for sizes in [(2, 2, 2), (1, 1, 1)]:
            plan, _ = made(sizes, seed=1)
            restored, meta = store.restore(plan.abstract)
            assert same(restored, state)
            assert meta == {"history": [[0, 0, 4]]}
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig(), read_only=True)) as store:
        assert same(store.restore_params(plan.abstract.params), state.params)
        wider, _ = made((1, 1, 1), embed_dim=64)
        with pytest.raises(RunError, match=r"^checkpoint s3://\S+/3 is of another model: parameter "):
            store.restore_params(wider.abstract.params)


def test_what_was_cut_off_is_no_checkpoint_and_is_written_anew(folder, state):
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig(keep=2))) as store:
        for step in (1, 2, 3):
            store.save(step, state, {"of": "a test"})
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["2", "3"]
    files, name = store_of(folder.checkpoints / "3" / COMMITTED)
    files.rm_file(name)
    assert folder.last_step() == 2
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig(), read_only=True)) as store:
        assert store.latest == 2
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig(keep=2))) as store:
        assert store.latest == 2
        store.save(3, state, {"of": "a test"})
        assert store.latest == folder.last_step() == 3


def test_a_store_that_takes_nothing_is_told_in_one_message(s3, state):
    store = CheckpointStore(to_path("s3://bucket/locked/run/checkpoints", ""), CheckpointConfig())

    def save():
        store.save(1, state, {"of": "a test"})
        store.wait()

    words = r"^checkpoint in s3://bucket/locked/run/checkpoints could not be saved: .*denied.*The checkpoints before"
    with pytest.raises(RunError, match=f"(?i){words}"):
        save()
    store.close()


def test_the_arrays_are_read_by_ranges(s3, folder, state):
    """Of each stored file as much as is asked for: a process gets the parts that are its own."""
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig())) as store:
        store.save(1, state, {"of": "a test"})
    s3.requests.clear()
    with closing(CheckpointStore(folder.checkpoints, CheckpointConfig(), read_only=True)) as store:
        plan, _ = made((1, 1, 1))
        store.restore_params(plan.abstract.params)
    arrays = s3.gets("/params/d/") + s3.gets("/params/ocdbt.process_0/d/")
    assert arrays
    assert all(request.range for request in arrays)
    of_state = s3.gets("/state/d/") + s3.gets("/state/ocdbt.process_0/d/")
    assert sum(request.num_bytes for request in of_state) < 10_000, "a look at its names; it is twice as large as the parameters"
    assert sum(request.num_bytes for request in arrays) > 50_000
