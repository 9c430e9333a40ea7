import gzip
import json
import multiprocessing
import os
import pickle
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from data_fakes import BOS, EOS, ByteTokenizer, items

from jaxlm.core import Document, RunError
from jaxlm.data import blocks, default_root, open_store, store_address, store_writer, verify_store, write_store
from jaxlm.tokenizer import Bytes


def read_back(store):
    """(split, source) -> [(id, text)], read slowly."""
    found = {}
    for part in store.parts:
        rows = []
        for k in range(part.num_documents):
            name, start, stop, num_bytes = part.document(k)
            ids = part.ids(start, stop)
            assert ids[0] == BOS
            assert ids[-1] == EOS
            assert num_bytes == len(ids) - 2
            rows.append((name, ids[1:-1].astype(np.uint8).tobytes().decode()))
        found[part.split, part.source] = rows
    return found


def expected(pairs):
    found = {}
    for document, held_out in pairs:
        found.setdefault(("validation" if held_out else "train", document.source), []).append((document.id, document.text))
    return found


@pytest.mark.parametrize("shard_tokens", [2**28, 7, 64])
def test_documents_come_back_from_any_number_of_shards(tmp_path, shard_tokens):
    pairs = items(40) + items(30, source="a b/ü\n", seed=1)
    store = write_store(tmp_path / "store", pairs, ByteTokenizer(), shard_tokens=shard_tokens)
    assert read_back(store) == expected(pairs)
    part = store.part("train", "books")
    whole = part.ids(0, part.num_tokens)
    assert part.num_tokens == len(whole) == part.num_bytes + 2 * part.num_documents
    assert all((part.ids(a, b) == whole[a:b]).all() for a in range(0, 50, 3) for b in range(a, part.num_tokens, 17))
    assert whole.dtype == np.uint16
    assert (whole[part.document_starts_N] == BOS).all()
    assert store.sources("train") == ["books", "a b/ü\n"]


def test_what_a_store_says_of_itself(tmp_path):
    store = write_store(
        tmp_path / "store", [(Document.of("x", "aé", "s"), False), (Document.of("y", "b", "s"), True)], ByteTokenizer()
    )
    assert store.describe() == [
        {"split": "train", "source": "s", "documents": 1, "tokens": 5, "bytes": 3},
        {"split": "validation", "source": "s", "documents": 1, "tokens": 3, "bytes": 1},
    ]
    with pytest.raises(RunError, match=r"source 't' has no train text\. Allowed: s"):
        store.part("train", "t")


def test_large_vocabularies_take_uint32(tmp_path):
    class Wide(ByteTokenizer):
        def encode_batch(self, texts):
            return [ids + 70_000 for ids in super().encode_batch(texts)]

    for size, dtype in ((2**16, np.uint16), (2**16 + 1, np.uint32)):
        store = write_store(tmp_path / str(size), items(5), ByteTokenizer(size, digest=str(size)))
        assert store.parts[0].ids(0, 2).dtype == dtype
    part = write_store(tmp_path / "wide", [(Document.of("x", "a", "s"), False)], Wide(10**5)).parts[0]
    assert part.ids(0, 3).tolist() == [BOS, 70_000 + ord("a"), EOS]


def test_the_digest_goes_by_tokens_and_documents_alone(tmp_path):
    def digest(name, *texts, ids="xy"):
        pairs = [(Document.of(i, text, "s"), False) for i, text in zip(ids, texts, strict=True)]
        return write_store(tmp_path / name, pairs, ByteTokenizer()).digest

    base = digest("a", "one", "two")
    assert digest("b", "one", "two", ids="uv") == base
    assert digest("c", "one", "twO") != base
    assert digest("d", "onet", "wo") != base


def test_parallel_streams_lie_side_by_side(tmp_path):
    pairs = [(Document(str(i), {"en": "a" * i, "de": "b" * (2 * i)}, "s"), False) for i in range(5)]
    store = write_store(tmp_path / "store", pairs, ByteTokenizer())
    part = store.parts[0]
    assert part.streams == ("en", "de")
    assert np.diff(part.offsets("en")).tolist() == [2, 3, 4, 5, 6]
    assert np.diff(part.offsets("de")).tolist() == [2, 4, 6, 8, 10]
    start, stop = part.offsets("de")[2:4]
    assert part.ids(start, stop, "de").tolist() == [BOS, *[ord("b")] * 4, EOS]
    pairs.append((Document.of("odd", "c", "s"), False))
    with pytest.raises(RunError, match=r"document 'odd' has the streams \['text'\] and others have \['en', 'de'\]"):
        write_store(tmp_path / "other", pairs, ByteTokenizer())


def test_damage_is_found_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)
    store = write_store(tmp_path / "store", items(40), ByteTokenizer(), shard_tokens=200)
    verify_store(store.path)
    file = store.path / "0.train.books" / "0.text.tokens.00002"
    data = bytearray(file.read_bytes())
    data[150] ^= 1
    file.write_bytes(data)
    open_store(store.path)  # the length is right: only reading finds it
    with pytest.raises(
        RunError, match=rf"{file}, block 2 \(bytes 128 and on\) is not what was written; delete the folder {store.path}"
    ):
        verify_store(store.path)
    file.write_bytes(data[:-3])
    with pytest.raises(RunError, match=rf"{file} has {len(data) - 3} bytes where {len(data)} were written"):
        open_store(store.path)
    file.unlink()
    with pytest.raises(RunError, match=rf"{file} is missing"):
        open_store(store.path)


@pytest.mark.parametrize("change", ["altered", "truncated"])
def test_a_store_that_was_altered_is_not_trained_on(tmp_path, monkeypatch, change):
    file = write_store(tmp_path / "store", items(10), ByteTokenizer()).path / "0.train.books" / "0.text.tokens.00000"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if change == "altered" else data[:-1])
    words = {"altered": "block 0 .* is not what was written", "truncated": "bytes where .* were written"}
    with pytest.raises(RunError, match=rf"^token store: {file}.* {words[change]}.*; delete the folder .* and run again"):
        write_store(tmp_path / "store", items(10), ByteTokenizer())
    if change == "altered":
        monkeypatch.setattr(store_writer, "READ_AGAIN_BYTES", 10)
        assert write_store(tmp_path / "store", items(10), ByteTokenizer()).parts  # too large to be read at each start


def test_a_damaged_header_is_found(tmp_path):
    store = write_store(tmp_path / "store", items(10), ByteTokenizer())
    file = store.path / "header.json"
    header = json.loads(file.read_text())
    for change, words in (
        ({"format": 99}, "has format 99; this version reads 1"),
        ({"dtype": "<u4"}, "header.json is not what was written"),
    ):
        file.write_text(json.dumps({**header, **change}))
        with pytest.raises(RunError, match=words):
            open_store(store.path)
    file.write_text(json.dumps(header)[:50])
    with pytest.raises(RunError, match=r"header\.json cannot be read"):
        open_store(store.path)
    with pytest.raises(RunError, match="is no token store"):
        open_store(tmp_path / "nowhere")


def small_batches(monkeypatch):
    monkeypatch.setattr(store_writer, "BATCH_DOCUMENTS", 4)


def test_a_build_that_was_cut_off_goes_on(tmp_path, monkeypatch):
    small_batches(monkeypatch)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)
    pairs = items(60) + items(60, source="web", seed=3)
    whole = write_store(tmp_path / "whole", pairs, ByteTokenizer(), shard_tokens=100)
    with pytest.raises(RuntimeError, match="power"):
        write_store(tmp_path / "store", pairs, ByteTokenizer(fail_at=90), shard_tokens=100, commit_seconds=0)
    assert not (tmp_path / "store").exists()
    with pytest.raises(RunError, match="is no token store"):
        open_store(tmp_path / ".store.building")
    # what was written after the last word on progress, and a part of it that never was whole, is not believed
    (tmp_path / ".store.building" / "0.train.books" / "names").open("ab").write(b"junk")
    tokenizer = ByteTokenizer()
    store = write_store(tmp_path / "store", pairs, tokenizer, shard_tokens=100)
    assert 30 <= tokenizer.num_texts < 60
    assert store.digest == whole.digest
    verify_store(store.path)
    assert read_back(store) == expected(pairs)
    assert [p.name for p in tmp_path.iterdir() if "store" in p.name] == ["store"]


def build_slowly(path):
    def slowly():
        for pair in items(400):
            time.sleep(0.002)
            yield pair

    store_writer.BATCH_DOCUMENTS = 4
    write_store(path, slowly(), ByteTokenizer(), commit_seconds=0.02)


def test_a_build_that_was_killed_goes_on(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=build_slowly, args=(tmp_path / "store",))
    process.start()
    while not (tmp_path / ".store.building" / "progress.json").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.join()
    assert not (tmp_path / "store").exists()
    tokenizer = ByteTokenizer()
    store = write_store(tmp_path / "store", items(400), tokenizer)
    assert 0 < tokenizer.num_texts < 400
    verify_store(store.path)
    assert read_back(store) == expected(items(400))
    assert store.digest == write_store(tmp_path / "whole", items(400), ByteTokenizer()).digest


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("num_bytes", [10, 10**6])
def test_a_full_disk_is_said(num_bytes):
    file = blocks.BlockWriter(Path("/dev/full"))

    def write():
        file.write(b"x" * num_bytes)
        file.sync()

    with pytest.raises(
        RunError, match=r"^/dev/full cannot be written: No space left on device\. Free some space, or set JAXLM_CACHE"
    ):
        write()
    file.close()


DATA = Path(os.environ.get("JAXLM_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.skipif(not (DATA / "gutenberg").is_dir(), reason=f"{DATA}/gutenberg is not there (set JAXLM_TEST_DATA)")
def test_books_come_back_to_the_letter(tmp_path):
    tokenizer = Bytes().train(list)
    books = sorted((DATA / "gutenberg").glob("*.gz"))[:3]
    texts = {book.name: gzip.decompress(book.read_bytes()).decode() for book in books}
    store = write_store(tmp_path / "store", [(Document.of(name, text, "books"), False) for name, text in texts.items()], tokenizer)
    part = store.part("train", "books")
    assert part.num_bytes == sum(len(text.encode()) for text in texts.values())
    for k, (name, text) in enumerate(texts.items()):
        entry = part.document(k)
        assert entry.id == name
        assert tokenizer.decode(part.ids(entry.start, entry.stop)) == text


def test_a_build_without_a_word_on_progress_begins_anew(tmp_path, monkeypatch):
    small_batches(monkeypatch)
    pairs = items(60)
    with pytest.raises(RuntimeError, match="power"):
        write_store(tmp_path / "store", pairs, ByteTokenizer(fail_at=40))
    (tmp_path / ".store.building" / "junk").write_text("junk")
    tokenizer = ByteTokenizer()
    store = write_store(tmp_path / "store", pairs, tokenizer)
    assert tokenizer.num_texts == 60
    assert read_back(store) == expected(pairs)
    assert not (store.path / "junk").exists()


@pytest.mark.parametrize("change", ["other text", "fewer documents"])
def test_text_that_changed_is_not_mixed_with_what_was_written(tmp_path, monkeypatch, change):
    small_batches(monkeypatch)
    pairs = items(60)
    with pytest.raises(RuntimeError, match="power"):
        write_store(tmp_path / "store", pairs, ByteTokenizer(fail_at=40), commit_seconds=0)
    now = pairs[:3] if change == "fewer documents" else [(Document.of("new", "new", "books"), False), *pairs[1:]]
    with pytest.raises(RunError, match=r"the text has changed since an earlier build .* run the same command again"):
        write_store(tmp_path / "store", now, ByteTokenizer())
    assert read_back(write_store(tmp_path / "store", now, ByteTokenizer())) == expected(now)


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1").write_text("hello")
    with pytest.raises(RunError, match="holds files that are no token store"):
        write_store(tmp_path / "thesis", items(3), ByteTokenizer())
    with pytest.raises(RunError, match="there is no document"):
        write_store(tmp_path / "empty", [], ByteTokenizer())


def test_another_tokenizers_store_is_refused(tmp_path):
    write_store(tmp_path / "store", items(3), ByteTokenizer())
    with pytest.raises(RunError, match="was built with another tokenizer"):
        write_store(tmp_path / "store", items(3), ByteTokenizer(digest="other"))


def build(path, queue):
    def slowly():
        for pair in items(30):
            time.sleep(0.01)
            yield pair

    tokenizer = ByteTokenizer()
    store = write_store(path, slowly(), tokenizer)
    queue.put((tokenizer.num_texts, store.digest))


def test_several_writers_make_one_store(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=build, args=(tmp_path / "store", queue)) for _ in range(3)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(count for count, _ in results) == [0, 0, 30]
    assert len({digest for _, digest in results}) == 1
    verify_store(tmp_path / "store")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_one_that_waits_takes_the_result(tmp_path, caplog):
    started, go_on = threading.Event(), threading.Event()

    def slowly():
        started.set()
        go_on.wait(10)
        yield from items(5)

    first = threading.Thread(target=write_store, args=(tmp_path / "store", slowly(), ByteTokenizer()))
    first.start()
    started.wait(10)
    threading.Timer(0.3, go_on.set).start()
    second = ByteTokenizer()
    write_store(tmp_path / "store", items(5), second)
    first.join()
    assert second.num_texts == 0
    assert "another process is building" in caplog.text


def test_parts_travel_without_their_tokens(tmp_path):
    part = write_store(tmp_path / "store", items(400), ByteTokenizer()).parts[0]
    part.ids(0, 10)
    packed = pickle.dumps(part)
    assert len(packed) < 1000
    assert (pickle.loads(packed).ids(0, 10) == part.ids(0, 10)).all()


def test_progress_is_told_in_documents(tmp_path, monkeypatch):
    small_batches(monkeypatch)
    seen = []
    write_store(tmp_path / "store", items(10), ByteTokenizer(), progress=seen.append)
    assert seen == [4, 8, 10]


def test_surrogates_and_empty_names_are_kept(tmp_path):
    part = write_store(tmp_path / "store", [(Document.of("", "\ud800", "s"), False)], ByteTokenizer()).parts[0]
    assert part.document(0) == ("", 0, 5, 3)
    assert len(part.document_digest(0)) == 32


def test_addresses(monkeypatch, tmp_path):
    base = store_address(["a", "b"], "t", {"split": "hash"})
    others = [
        store_address(["ab"], "t", {"split": "hash"}),
        store_address(["a", "b"], "t", {}),
        store_address(["a", "b"], "u", {"split": "hash"}),
    ]
    assert len({base, *others}) == 4
    assert base == store_address(("a", "b"), "t", {"split": "hash"})
    monkeypatch.setenv("JAXLM_CACHE", str(tmp_path))
    assert default_root() == tmp_path / "stores"
    monkeypatch.delenv("JAXLM_CACHE")
    assert default_root().parts[-3:] == (".cache", "jaxlm", "stores")


def test_a_moved_store_still_opens(tmp_path):
    pairs = items(10)
    shutil.move(write_store(tmp_path / "store", pairs, ByteTokenizer()).path, tmp_path / "moved")
    assert read_back(open_store(tmp_path / "moved", verify=True)) == expected(pairs)
