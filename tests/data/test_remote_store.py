"""Token stores in an object store: uploaded whole, header last; read by ranges."""

import pickle
import re

import numpy as np
import pytest
from botocore.exceptions import EndpointConnectionError
from data_fakes import ByteTokenizer, Next, examples_of, items

from jaxlm.core import Document, RunError
from jaxlm.core.paths import is_remote, store_of, write_whole
from jaxlm.data import Batches, default_root, iterate, open_store, pack, verify_store, write_store
from jaxlm.data.store import HEADER


def large(num_tokens):
    """Documents of random bytes, 10,000 tokens each, a few of them held out."""
    rng = np.random.default_rng(0)
    for i in range(num_tokens // 10_000):
        yield Document.of(f"{i}", "".join(map(chr, rng.integers(32, 127, 9_998))), "books"), i % 50 == 7


@pytest.fixture
def path(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLM_CACHE", f"{s3.root}/cache")
    assert is_remote(default_root())
    return default_root() / "one"


@pytest.mark.parametrize("shard_tokens", [2**28, 64])
def test_it_is_the_store_that_this_machine_would_have(path, tmp_path, shard_tokens):
    pairs = items(40) + items(30, source="a b/ü\n", seed=1)
    here = write_store(tmp_path / "store", pairs, ByteTokenizer(), shard_tokens=shard_tokens)
    there = verify_store(write_store(path, pairs, ByteTokenizer(), shard_tokens=shard_tokens).path)
    assert there.digest == here.digest
    assert there.describe() == here.describe()
    for ours, theirs in zip(there.parts, here.parts, strict=True):
        assert [ours.document(k) for k in range(ours.num_documents)] == [theirs.document(k) for k in range(theirs.num_documents)]
        for start in range(0, ours.num_tokens - 40, 13):
            np.testing.assert_array_equal(ours.ids(start, start + 40), theirs.ids(start, start + 40))
    assert not any((tmp_path / "home").rglob("*.tokens.*")), "what was uploaded is not kept twice"


def test_rows_are_read_by_ranges_and_never_the_whole(s3, path):
    write_store(path, large(4_000_000), ByteTokenizer())
    s3.requests.clear()
    read = examples_of(open_store(path), Next(), seq_len=100)
    batches = Batches(read, batch_size=4, start_position=0)
    with iterate(batches) as made:
        got = [next(made) for _ in range(3)]
    assert [batch["tokens"].tolist() for batch in got] == [batches[k]["tokens"].tolist() for k in range(3)]
    tokens = s3.gets(".tokens.")
    assert len(tokens) >= 3
    assert all(re.fullmatch(r"bytes=\d+-\d+", request.range) for request in tokens)
    assert sum(request.num_bytes for request in tokens) < 8_000_000 * 0.7


def test_a_store_that_cannot_be_reached_at_the_first_row_is_said(path, monkeypatch):
    store = write_store(path, items(4), ByteTokenizer())

    def fail(*_, **__):
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    monkeypatch.setattr(store_of(path)[0], "info", fail)  # fsspec keeps one of each store
    with pytest.raises(RunError, match=r"^token store: .* could not be read: .*Run the same command again once the store can be"):
        store.parts[0].ids(0, 4)


def test_it_is_read_in_other_processes_and_by_threads(path):
    store = write_store(path, items(40), ByteTokenizer())
    part = store.parts[0]
    first = part.ids(0, 50).tolist()
    again = pickle.loads(pickle.dumps(part))
    assert again.ids(0, 50).tolist() == first
    assert str(again.folder) == str(part.folder)
    batches = Batches(examples_of(store, Next(), seq_len=20), batch_size=4, start_position=0)
    with iterate(batches, num_workers=1) as made:
        assert next(made)["tokens"].tolist() == batches[0]["tokens"].tolist()


def test_index_maps_and_tables_are_kept_on_this_machine(s3, path, tmp_path):
    part = write_store(path, items(40), ByteTokenizer()).parts[0]
    rows = [pack(part, "best_fit", 64, 0).pieces(i) for i in range(3)]
    assert not [request for request in s3.requests if request.method == "PUT" and request.path.endswith(".npy")]
    s3.requests.clear()
    again = open_store(path).parts[0]
    assert [pack(again, "best_fit", 64, 0).pieces(i) for i in range(3)] == rows
    assert again.offsets()[-1] == part.num_tokens
    assert not s3.gets(".offsets")
    assert {file.suffix for file in (tmp_path / "home").rglob("*") if file.is_file()} == {".npy", ".offsets"}


def test_an_upload_that_was_cut_off_is_no_store_and_goes_on_without_the_text(path, monkeypatch):
    files, _ = store_of(path)
    put = files.put_file

    def cut(here, there):
        if there.endswith("digests"):
            raise ConnectionError("the cable was pulled")
        put(here, there)

    with monkeypatch.context() as patch:
        patch.setattr(files, "put_file", cut)
        with pytest.raises(RunError, match=r"^s3://\S+ cannot be written: the cable was pulled\. What was built stands on this"):
            write_store(path, items(40), ByteTokenizer())
    assert not (path / HEADER).is_file()
    with pytest.raises(RunError, match="is no token store"):
        open_store(path)
    assert write_store(path, iter(()), ByteTokenizer()).parts[0].num_documents > 0


def test_damage_is_found(path):
    store = write_store(path, items(40), ByteTokenizer())
    tokens = store.parts[0].folder / "0.text.tokens.00000"
    data = tokens.read_bytes()
    write_whole(tokens, data[:-1] + b"\xff")
    open_store(path)
    with pytest.raises(RunError, match=r"tokens\.00000, block 0 \(bytes 0 and on\) is not what was written"):
        verify_store(path)
    write_whole(tokens, data[:-2])
    with pytest.raises(RunError, match=r"has \d+ bytes where \d+ were written"):
        open_store(path)
    files, name = store_of(tokens)
    files.rm_file(name)
    with pytest.raises(RunError, match=r"s3://\S+tokens\.00000 is missing"):
        open_store(path)
