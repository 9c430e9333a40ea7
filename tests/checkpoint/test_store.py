import jax
import numpy as np
import pytest
import tiny

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import RunError
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.mesh import make_mesh
from jaxlm.train.state import init_state, layout


def made(sizes, seed=0):
    mesh = make_mesh(MeshConfig(*sizes), jax.devices()[: int(np.prod(sizes))])
    model = tiny.model("gpt2")
    plan = layout(model, AdamW(steps=1), mesh)
    return plan, init_state(model, plan, seed, mesh)


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
