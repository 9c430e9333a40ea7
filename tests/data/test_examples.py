import numpy as np
import pytest
from data_fakes import ByteTokenizer, Next, Pair, examples_of, items

from jaxlm.core import Document, RunError
from jaxlm.core.noise import host_generator
from jaxlm.data import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("examples") / "store"
    pairs = items(80, "books") + items(50, "web", seed=1) + items(20, "code", seed=2)
    return write_store(path, pairs, ByteTokenizer())


def places(examples, positions):
    source, index, epoch = examples.locate(np.asarray(positions))
    return list(zip(source.tolist(), index.tolist(), epoch.tolist(), strict=True))


def test_an_epoch_has_each_row_once_in_an_order_of_its_own(store):
    examples = examples_of(store, Next(), seq_len=16)
    n = examples.num_rows
    every = sorted((s, i) for s, reader in enumerate(examples.readers) for i in range(len(reader)))
    orders = []
    for epoch in range(3):
        found = places(examples, range(epoch * n, (epoch + 1) * n))
        assert {e for *_, e in found} == {epoch}
        orders.append([(s, i) for s, i, _ in found])
        assert sorted(orders[-1]) == every
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] != every
    assert len({s for s, _ in orders[0][:20]}) == 3, "sources are mixed"


def test_with_weights_each_source_has_epochs_of_its_own(store):
    examples = examples_of(store, Next(), seq_len=16, weights=(1, 1, 2))
    found = places(examples, range(4096))
    assert [sum(s == k for s, *_ in found) for k in range(3)] == [1024, 1024, 2048]
    for source, reader in enumerate(examples.readers):
        for epoch in range(3):
            rows = [i for s, i, e in found if (s, e) == (source, epoch)]
            assert sorted(rows) == list(range(len(reader)))
            assert rows != sorted(rows)


def test_in_order_where_it_is_not_shuffled(store):
    examples = examples_of(store, Next(), seq_len=16, shuffle=False, split="validation")
    found = places(examples, range(examples.num_rows))
    assert found == sorted(found)
    assert len(set(found)) == examples.num_rows


@pytest.mark.parametrize("settings", [{}, {"weights": (1, 2, 3)}, {"shuffle": False}, {"kind": "best_fit"}])
def test_a_row_is_a_function_of_its_position(store, settings):
    examples = examples_of(store, Next(), seq_len=16, **settings)
    positions = np.array([5, 0, -1, 700, 3, 5])
    batch = examples.batch(positions)
    for r, position in enumerate(positions.tolist()):
        row = examples.row(position)
        assert all((row[name] == batch[name][r]).all() for name in batch)
        assert row["row"].shape == ()
    assert batch["row"].tolist() == positions.tolist()
    assert batch["row"].dtype == np.int32
    assert all(array.flags.c_contiguous for array in batch.values())
    assert batch["tokens"].shape == (6, 16)
    assert not batch["weights"][2].any()
    assert not batch["segments"][2].any()


def test_rows_hold_what_their_windows_hold(store):
    examples = examples_of(store, Next(), seq_len=16)
    for position in (0, 9, 400):
        source, index, epoch = places(examples, [position])[0]
        reader = examples.readers[source]
        window = reader.window(reader.number(index, epoch))
        row = examples.row(position)
        assert (row["tokens"] == window.ids_N[:-1]).all()
        assert (row["targets"] == window.ids_N[1:]).all()
        assert (examples.windows(position)[0].ids_N == window.ids_N).all()


def test_each_token_is_a_target_once(store):
    examples = examples_of(store, Next(), seq_len=16)
    batch = examples.batch(np.arange(examples.num_rows))
    parts = [reader.part for reader in examples.readers]
    assert batch["weights"].sum() == sum(part.num_tokens - part.num_documents for part in parts)
    targets = np.sort(batch["targets"][batch["weights"] > 0])
    told = [part.ids(int(a) + 1, int(b)) for part in parts for a, b in zip(part.offsets()[:-1], part.offsets()[1:], strict=True)]
    assert (targets == np.sort(np.concatenate(told))).all()


def test_noise_is_keyed_by_seed_and_position(store):
    examples = examples_of(store, Next(), seq_len=16, seed=7)
    batch = examples.batch(np.array([3, -1]))
    for r, position in enumerate((3, -1)):
        assert (batch["noise"][r] == host_generator(7, "prepare", position).integers(2**31, size=2)).all()


def test_another_seed_gives_another_order(store):
    first, second = (places(examples_of(store, Next(), seq_len=16, seed=s), range(50)) for s in (0, 1))
    assert first != second


def test_positions_past_int32_keep_their_row_numbers_non_negative(store):
    examples = examples_of(store, Next(), seq_len=16)
    assert examples.row(2**31 + 5)["row"] == 5


def test_partners_come_from_other_documents(store):
    examples = examples_of(store, Pair(), seq_len=16, kind="documents")
    seen = set()
    for position in range(60):
        source, index, _ = places(examples, [position])[0]
        reader = examples.readers[source]
        first, second = examples.windows(position)
        assert (first.ids_N == reader.window(index).ids_N).all()
        own = reader.document_numbers(index)
        partners = [i for i in range(len(reader)) if (reader.window(i).ids_N == second.ids_N).all()]
        assert partners
        assert not all(reader.document_numbers(i) & own for i in partners)
        seen.add(tuple(partners))
        assert (examples.row(position)["partner"] == second.ids_N).all()
    assert len(seen) > 30
    assert (examples.row(-1)["partner"] == 0).all()


def test_partners_need_other_documents(tmp_path):
    store = write_store(tmp_path / "store", [(Document.of("alone", "x" * 100, "s"), False)], ByteTokenizer())
    with pytest.raises(
        RunError, match=r"source 's': no window of another document .* 'alone'; Pair needs text of several documents"
    ):
        examples_of(store, Pair(), seq_len=16).row(0)


def test_padding_has_the_streams_of_the_text(tmp_path):
    class Both(Next):
        def prepare(self, windows, rng, vocab, seq_len):
            return {"tokens": windows[0].ids_N, "other": windows[0].others["de"].ids_N}

    pairs = [(Document(str(i), {"en": "a", "de": "b"}, "s"), False) for i in range(3)]
    examples = examples_of(write_store(tmp_path / "store", pairs, ByteTokenizer()), Both(), seq_len=4)
    assert examples.batch(np.array([0, -1]))["other"].shape == (2, 5)


def test_no_rows_are_an_error(store):
    from jaxlm.data import Examples

    with pytest.raises(RunError, match="no text to make a row of"):
        Examples([], Next(), ByteTokenizer().vocab, seq_len=4, seed=0)
