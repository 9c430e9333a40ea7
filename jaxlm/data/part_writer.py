"""The files of one part of a token store, being written."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.core import Document, RunError
from jaxlm.data.blocks import BlockWriter, sync_folder
from jaxlm.data.store import safe


class PartWriter:
    """Appends documents to the streams and tables of one part; `resume` is what `record()` gave."""

    def __init__(self, store: Path, folder: str, streams: Sequence[str], settings: dict[str, Any], resume: dict | None = None):
        self._path = store / folder
        self._path.mkdir(exist_ok=True)
        self._folder, self._streams, self._settings = folder, list(streams), settings
        self._dtype, self._shard_tokens = settings["dtype"], settings["shard_tokens"]
        self._files = {name: BlockWriter(self._path / name, record) for name, record in (resume or {"files": {}})["files"].items()}
        self._num_documents = resume["num_documents"] if resume else 0
        self._tokens = dict(resume["num_tokens"]) if resume else dict.fromkeys(streams, 0)
        self._bytes = dict(resume["num_bytes"]) if resume else dict.fromkeys(streams, 0)
        self._num_sentences = resume.get("num_sentences", 0) if resume else 0
        if not resume:
            for name in [*(f"{stem}.offsets" for stem in self._stems().values()), "names.offsets"]:
                self._file(name).write(np.zeros(1, "<i8").tobytes())

    def add(
        self,
        chosen: Sequence[int],
        items: Sequence[tuple[Document, bool]],
        encoded: dict[str, list[np.ndarray]],
        starts: Sequence[np.ndarray] | None,
        digests: Sequence[bytes],
        ends: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Appends the chosen ones of a batch; `starts` are the ids of each document's first stream at which a sentence starts."""
        for i in chosen:
            if list(items[i][0].streams) != self._streams:
                document = items[i][0]
                raise RunError(
                    f"source {document.source!r}: document {document.id!r} has the streams {list(document.streams)} and others "
                    f"have {self._streams}; give all documents of a source the same"
                )
        bos, eos = ends
        for stream, stem in self._stems().items():
            texts = [items[i][0].streams[stream] for i in chosen]
            rows = [encoded[stream][i] for i in chosen]
            assert all(ids.dtype.newbyteorder("<") == self._dtype for ids in rows), "encode_batch gave ids of another dtype"
            self._append_tokens(stream, stem, np.concatenate([a for ids in rows for a in (bos, ids, eos)]))
            ends_N = self._tokens[stream] + np.cumsum([len(ids) + 2 for ids in rows])
            if starts is not None and stream == self._streams[0]:
                begins = np.concatenate([[self._tokens[stream]], ends_N[:-1]])
                places = np.concatenate([begin + 1 + starts[i] for begin, i in zip(begins, chosen, strict=True)])
                self._file(f"{stem}.sentences").write(places.astype("<i8").tobytes())
                self._num_sentences += len(places)
            bytes_N = np.array([len(text.encode("utf-8", "surrogatepass")) for text in texts])
            self._file(f"{stem}.offsets").write(ends_N.astype("<i8").tobytes())
            self._file(f"{stem}.bytes").write(bytes_N.astype("<i8").tobytes())
            self._tokens[stream] = int(ends_N[-1])
            self._bytes[stream] += int(bytes_N.sum())
        names = [items[i][0].id.encode("utf-8", "surrogatepass") for i in chosen]
        name_ends = self._file("names").size + np.cumsum([len(name) for name in names])
        self._file("names").write(b"".join(names))
        self._file("names.offsets").write(name_ends.astype("<i8").tobytes())
        self._file("digests").write(b"".join(digests[i] for i in chosen))
        self._num_documents += len(chosen)

    def _append_tokens(self, stream: str, stem: str, ids_N: np.ndarray) -> None:
        at = self._tokens[stream]
        while len(ids_N):
            shard, filled = divmod(at, self._shard_tokens)
            room = self._shard_tokens - filled
            self._file(f"{stem}.tokens.{shard:05}").write(ids_N[:room].astype(self._dtype).tobytes())
            at, ids_N = at + len(ids_N[:room]), ids_N[room:]

    def _stems(self) -> dict[str, str]:
        return {stream: f"{number}.{safe(stream)}" for number, stream in enumerate(self._streams)}

    def _file(self, name: str) -> BlockWriter:
        if name not in self._files:
            self._files[name] = BlockWriter(self._path / name)
        return self._files[name]

    def record(self) -> dict[str, Any]:
        """What a header says of this part; all of it is on the disk."""
        for file in self._files.values():
            file.sync()
        sync_folder(self._path)
        kept = {"num_sentences": self._num_sentences} if "sentences" in self._settings else {}
        return {
            "folder": self._folder,
            "streams": self._streams,
            "num_documents": self._num_documents,
            "num_tokens": dict(self._tokens),
            "num_bytes": dict(self._bytes),
            **kept,
            "files": {name: file.record() for name, file in self._files.items()},
        }

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def text_digest(document: Document) -> bytes:
    """BLAKE2b-128 of all streams."""
    digest = blake2b(digest_size=16)
    for stream, text in document.streams.items():
        data = text.encode("utf-8", "surrogatepass")
        digest.update(f"{stream}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.digest()
