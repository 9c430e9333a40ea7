"""The token store, writing: text is encoded in batches and appended; the folder appears under its name when whole.

The build lies in `.NAME.building` beside it, and says in `progress.json`, now and then, how far it is on the disk. A
build that was cut off goes on from there: documents already written are read and compared, not encoded again.
"""

import fcntl
import json
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.core import Document, RunError
from jaxlm.core.errors import writing
from jaxlm.core.paths import is_remote, on_this_machine, upload
from jaxlm.data.blocks import ROOM, sync_folder
from jaxlm.data.part_writer import PartWriter, text_digest
from jaxlm.data.sentences import encode_sentences, sentence_rules
from jaxlm.data.store import FORMAT, HEADER, Store, open_store, safe, tokens_digest
from jaxlm.tokenizer.base import Tokenizer

SHARD_TOKENS = 2**28
BATCH_CHARACTERS = 2**22
BATCH_DOCUMENTS = 2**13
PROGRESS = "progress.json"
READ_AGAIN_BYTES = 2**27
"""A store of at most so many bytes (half a second) that was made before is read whole, so that one that was altered since is
not trained on; of larger ones the lengths are compared, and `jaxlm data verify` reads them."""

log = logging.getLogger(__name__)
Item = tuple[Document, bool]
Ids = dict[str, list[np.ndarray]]
Starts = list[np.ndarray] | None


def write_store(
    path: Path,
    documents: Iterable[Item],
    tokenizer: Tokenizer,
    *,
    sentences: str | None = None,
    shard_tokens: int = SHARD_TOKENS,
    commit_seconds: float = 60.0,
    progress: Callable[[int], None] | None = None,
) -> Store:
    """Encodes all documents and writes them to the folder `path`, whole or not at all; one in an object store is made on this
    machine's disk and uploaded, its header last.

    Where `path` is a finished store, or another process is making it, that store is the result, checked. `encode_batch` runs
    on a thread of its own (and its own threads), while documents are read and files written here.

    Args:
      documents: pairs (document, whether it is held out for validation), in a fixed order.
      sentences: the language by whose rules sentences of the first stream are found, and kept; None: they are not.
      shard_tokens: tokens a file.
      commit_seconds: between the points from which a build that was cut off goes on.
      progress: called with the number of documents done.

    Raises:
      RunError: there is no document; documents of one source differ in their streams; the text changed since a build
        that was cut off; the disk is full; `path` is something else, or a store that was altered; it cannot be uploaded.
    """
    here = on_this_machine(path)
    with writing(here.parent, ROOM):
        here.parent.mkdir(parents=True, exist_ok=True)
    if (path / HEADER).exists():
        return _finished(path, tokenizer)
    with _locked(here):
        if (path / HEADER).exists():  # by now
            return _finished(path, tokenizer)
        if (here / HEADER).exists():  # its upload was cut off
            _finished(here, tokenizer)
        else:
            building = here.with_name(f".{here.name}.building")
            writer = partial(_StoreWriter, building, tokenizer, shard_tokens, sentences)
            _write(here, building, writer, documents, tokenizer, sentences, commit_seconds, progress)
        if is_remote(path):
            with writing(path, "What was built stands on this machine: run the same command again once the store can be reached"):
                upload(here, path, HEADER)
            shutil.rmtree(here)
    return open_store(path)


def _write(
    path: Path,
    building: Path,
    start: Callable[[], "_StoreWriter"],
    documents: Iterable[Item],
    tokenizer: Tokenizer,
    sentences: str | None,
    commit_seconds: float,
    progress: Callable[[int], None] | None,
) -> None:
    """The build itself: in the folder `building`, which becomes `path`."""
    if path.is_dir() and any(path.iterdir()):
        raise RunError(f"{path} holds files that are no token store; move them away or choose another folder")
    disk = partial(writing, building, ROOM)  # around each of our own writes: what sources raise is not ours to name
    with disk():
        writer = start()
    try:
        committed = time.monotonic()
        for items, encoded, starts in _encoded(_batches(_new(documents, writer)), tokenizer, sentences):
            with disk():
                writer.add(items, encoded, starts)
            if progress:
                progress(writer.num_documents)
            if time.monotonic() - committed >= commit_seconds:
                with disk():
                    writer.commit()
                committed = time.monotonic()
        with disk():
            writer.finish()
    finally:
        writer.close()
    with disk():
        os.replace(building, path)
        sync_folder(path.parent)


class _StoreWriter:
    """The parts of a store being made, and how far they are."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, shard_tokens: int, sentences: str | None):
        vocab = tokenizer.vocab
        dtype = "<u2" if vocab.size <= 2**16 else "<u4"
        self._settings = {"format": FORMAT, "tokenizer": vocab.digest, "dtype": dtype, "shard_tokens": shard_tokens}
        if sentences is not None:
            self._settings |= sentence_rules(sentences)
        self._folder = folder
        self._ends = (np.array([vocab.bos], dtype), np.array([vocab.eos], dtype))
        self._parts: dict[tuple[str, str], PartWriter] = {}
        self._chain = blake2b(digest_size=16)
        self.num_documents = 0
        state = self._read_progress()
        self.num_known: int = state["documents"]
        """Documents that the build which goes on here has written."""
        self._known_chain: str = state["chain"]
        for entry in state["parts"]:
            part = PartWriter(folder, entry["folder"], entry["streams"], self._settings, entry)
            self._parts[entry["split"], entry["source"]] = part

    def _read_progress(self) -> dict[str, Any]:
        try:
            state = json.loads((self._folder / PROGRESS).read_text())
            if state["settings"] == self._settings:
                log.info("going on with %s after %d documents", self._folder, state["documents"])
                return state
        except (OSError, ValueError, KeyError):
            pass  # nothing of use: begin anew
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        return {"documents": 0, "chain": self._chain.hexdigest(), "parts": []}

    def skip(self, item: Item) -> None:
        """Takes note of a document that is written already; the last of them tells whether they are the same."""
        self._note(item, text_digest(item[0]))
        if self.num_documents == self.num_known:
            self.check_known()

    def check_known(self) -> None:
        """Raises RunError if the documents that were met are not those that the unfinished build had written."""
        if self.num_documents < self.num_known or self._chain.hexdigest() != self._known_chain:
            self.close()
            shutil.rmtree(self._folder)
            raise RunError(
                f"the text has changed since an earlier build of {self._folder} was cut off; "
                "its files have been removed: run the same command again to build the store anew"
            )

    def add(self, items: Sequence[Item], encoded: dict[str, list[np.ndarray]], starts: Sequence[np.ndarray] | None) -> None:
        """Appends documents; `encoded[stream][i]` are the ids of the i-th, `starts[i]` those of the first stream's that start a
        sentence."""
        groups: dict[tuple[str, str], list[int]] = {}
        for i, (document, held_out) in enumerate(items):
            groups.setdefault(("validation" if held_out else "train", document.source), []).append(i)
        digests = [text_digest(document) for document, _ in items]
        for key, chosen in groups.items():
            streams = list(items[chosen[0]][0].streams)
            if key not in self._parts:
                folder = f"{len(self._parts)}.{key[0]}.{safe(key[1])}"
                self._parts[key] = PartWriter(self._folder, folder, streams, self._settings)
            self._parts[key].add(chosen, items, encoded, starts, digests, self._ends)
        for item, digest in zip(items, digests, strict=True):
            self._note(item, digest)

    def _note(self, item: Item, digest: bytes) -> None:
        document, held_out = item
        self._chain.update(repr((document.id, document.source, held_out, digest)).encode("utf-8", "surrogatepass"))
        self.num_documents += 1

    def commit(self) -> None:
        """All that was added is on the disk, and so is the word of it."""
        parts = self._records()
        state = {"settings": self._settings, "documents": self.num_documents, "chain": self._chain.hexdigest(), "parts": parts}
        _write_json(self._folder / PROGRESS, state)

    def finish(self) -> None:
        """Writes the header: the folder is a store."""
        if self.num_documents < self.num_known:
            self.check_known()
        if not self.num_documents:
            raise RunError("there is no document to build a token store of; check the sources and the steps that filter them")
        header = {**self._settings, "parts": self._records()}
        _write_json(self._folder / HEADER, {**header, "digest": tokens_digest(header)})
        (self._folder / PROGRESS).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _records(self) -> list[dict[str, Any]]:
        return [{"split": split, "source": source, **part.record()} for (split, source), part in self._parts.items()]

    def close(self) -> None:
        for part in self._parts.values():
            part.close()


def _new(documents: Iterable[Item], writer: _StoreWriter) -> Iterator[Item]:
    """The documents that are not written yet."""
    for number, item in enumerate(documents):
        if number < writer.num_known:
            writer.skip(item)
        else:
            yield item


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Enough at once to keep a tokenizer's threads busy, little enough to hold in memory."""
    batch: list[Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += sum(map(len, item[0].streams.values()))
        if characters >= BATCH_CHARACTERS or len(batch) == BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _encoded(
    batches: Iterable[list[Item]], tokenizer: Tokenizer, sentences: str | None
) -> Iterator[tuple[list[Item], Ids, Starts]]:
    """Batches with their ids by stream, in order, and where sentences start; a second one is encoded while the first is written."""

    def encode(batch: list[Item]) -> tuple[Ids, Starts]:
        streams = dict.fromkeys(stream for document, _ in batch for stream in document.streams)
        texts = {stream: [document.streams.get(stream, "") for document, _ in batch] for stream in streams}
        if sentences is None:
            return {stream: tokenizer.encode_batch(of_stream) for stream, of_stream in texts.items()}, None
        firsts = [next(iter(document.streams)) for document, _ in batch]
        found = {stream: encode_sentences(tokenizer, texts[stream], sentences) for stream in dict.fromkeys(firsts)}
        ids = {
            stream: [ids_N for ids_N, _ in found[stream]] if stream in found else tokenizer.encode_batch(texts[stream])
            for stream in streams
        }
        return ids, [found[stream][i][1] for i, stream in enumerate(firsts)]

    pending: deque[tuple[list[Item], Future]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="encode") as pool:
        for batch in batches:
            pending.append((batch, pool.submit(encode, batch)))
            if len(pending) > 2:
                batch, ids = pending.popleft()
                yield batch, *ids.result()
        while pending:
            batch, ids = pending.popleft()
            yield batch, *ids.result()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer of a store at a time; the lock dies with its process."""
    file = path.with_name(f".{path.name}.lock")
    with writing(file, ROOM):
        lock = open(file, "w")  # noqa: SIM115  (closed right below)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process is building the token store %s; waiting for it", path)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        file.unlink(missing_ok=True)  # the store stands: whoever still waits here only opens it


def _finished(path: Path, tokenizer: Tokenizer) -> Store:
    """The store that is there, looked at again; of one in an object store the lengths, since to read it is what takes long."""
    store = open_store(path, verify_up_to=0 if is_remote(path) else READ_AGAIN_BYTES)
    if store.tokenizer_digest != tokenizer.vocab.digest:
        raise RunError(
            f"token store {store.path} was built with another tokenizer ({store.tokenizer_digest[:12]}, not "
            f"{tokenizer.vocab.digest[:12]}); delete the folder, or choose another"
        )
    return store


def _write_json(path: Path, value: Any) -> None:
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)
