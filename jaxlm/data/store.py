"""The token store, reading: a folder of flat token streams, memory-mapped or read by ranges, with a table of their documents.

    header.json                     format, tokenizer, counts, the files with a checksum a block, digest of the tokens
    0.train.books/                  one part: a split of a source
        0.text.tokens.00000         ids, little-endian uint16 or uint32, `shard_tokens` a file
        0.text.offsets              int64 [documents + 1]: where each document starts, and the end of the last
        0.text.sentences            int64: where sentences start, ascending; in a store made for an objective that asks for it
        0.text.bytes                int64 [documents]: length of the original text in UTF-8
        digests names names.offsets BLAKE2b-128 of each document's text; the ids of the documents

In an object store tokens are read by requests for ranges; the tables, which packing needs whole, are downloaded once a machine.

Each document is written as bos, its ids, eos; where the tokenizer has one id for both (GPT-2's <|endoftext|>), it
stands at both ends. `store_writer.write_store` makes a store.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxlm.core import RunError
from jaxlm.core.errors import nearest
from jaxlm.core.paths import cache_root, fetched, is_remote, machine_root, size_of
from jaxlm.data.blocks import ROOM, check_blocks, check_size
from jaxlm.data.ranged import RangedArray

FORMAT = 1
HEADER = "header.json"
Split = Literal["train", "validation"]


class Entry(NamedTuple):
    """A document of a part: its id, its place in the first stream, its length in bytes of UTF-8."""

    id: str
    start: int
    stop: int
    num_bytes: int


@dataclass(frozen=True)
class Part:
    """One split of one source: a flat stream of ids (one for each named stream), and its documents.

    Files are mapped at first use, and anew in each process that a part travels to.
    """

    folder: Path
    kept: Path
    """Where this machine keeps what it makes or downloads of the part: its folder; of one in an object store another."""
    split: Split
    source: str
    streams: tuple[str, ...]
    """Names; all else here speaks of the first, unless `stream` says otherwise."""
    dtype: str
    shard_tokens: int
    num_documents: int
    stream_tokens: Mapping[str, int]
    stream_bytes: Mapping[str, int]
    num_sentences: int | None = None
    """Sentences of the first stream; None: the store was made without."""

    @property
    def num_tokens(self) -> int:
        """Tokens, bos and eos of each document included."""
        return self.stream_tokens[self.streams[0]]

    @property
    def num_bytes(self) -> int:
        """Bytes of the original text in UTF-8."""
        return self.stream_bytes[self.streams[0]]

    @property
    def document_starts_N(self) -> np.ndarray:
        """Where each document starts; int64 [num_documents]."""
        return self.offsets()[:-1]

    def offsets(self, stream: str | None = None) -> np.ndarray:
        """Where each document starts, and the end of the last; int64 [num_documents + 1]."""
        return self._offsets[stream or self.streams[0]]

    def ids(self, start: int, stop: int, stream: str | None = None) -> np.ndarray:
        """Tokens [start, stop) as they are stored: a view, or a copy where they lie in several shards."""
        shards = self._shards[stream or self.streams[0]]
        first, last = start // self.shard_tokens, max(start, stop - 1) // self.shard_tokens
        base = first * self.shard_tokens
        if first == last:
            return shards[first][start - base : stop - base]
        return np.concatenate(
            [shards[k][max(start - k * self.shard_tokens, 0) : stop - k * self.shard_tokens] for k in range(first, last + 1)]
        )

    def sentences(self, start: int, stop: int) -> np.ndarray:
        """Whether a sentence starts at each of the tokens [start, stop); bool."""
        first, last = self.sentence_starts.searchsorted([start, stop])
        found = np.zeros(stop - start, bool)
        found[self.sentence_starts[first:last] - start] = True
        return found

    def document(self, k: int) -> Entry:
        """The k-th document."""
        offsets, names = self.offsets(), self._name_offsets
        name = self._names[names[k] : names[k + 1]].tobytes().decode("utf-8", "surrogatepass")
        return Entry(name, int(offsets[k]), int(offsets[k + 1]), int(self._bytes[k]))

    def document_digest(self, k: int) -> str:
        """Hex BLAKE2b-128 of the k-th document's text."""
        return self._digests[16 * k : 16 * k + 16].tobytes().hex()

    def counts(self) -> Iterator[tuple[str, int, int]]:
        """(what, how many of it the files hold, how many the header says) for the streams and for each table."""
        for stream in self.streams:
            offsets_N, tokens = self.offsets(stream), self.stream_tokens[stream]
            yield f"documents of {stream!r}", len(offsets_N) - 1, self.num_documents
            yield f"tokens of {stream!r} by its offsets", int(offsets_N[-1] - offsets_N[0]), tokens
            yield f"tokens of {stream!r}", sum(map(len, self._shards[stream])), tokens
        if self.num_sentences is not None:
            yield "sentences", len(self.sentence_starts), self.num_sentences
        yield "lengths of documents", len(self._bytes), self.num_documents
        yield "bytes of text", int(self._bytes.sum()), self.num_bytes
        yield "digests", len(self._digests), 16 * self.num_documents
        yield "names", len(self._name_offsets) - 1, self.num_documents
        yield "bytes of names", len(self._names), int(self._name_offsets[-1])

    @cached_property
    def _shards(self) -> dict[str, list[np.ndarray | RangedArray]]:
        return {
            stream: [
                _tokens(self.folder / f"{number}.{safe(stream)}.tokens.{shard:05}", self.dtype, num_shards)
                for shard in range(num_shards)
            ]
            for number, stream in enumerate(self.streams)
            for num_shards in [-(-self.stream_tokens[stream] // self.shard_tokens)]
        }

    def _table(self, name: str, dtype: str) -> np.ndarray:
        return _map(fetched(self.folder / name, self.kept / name, ROOM), dtype)

    @cached_property
    def _offsets(self) -> dict[str, np.ndarray]:
        return {s: self._table(f"{n}.{safe(s)}.offsets", "<i8") for n, s in enumerate(self.streams)}

    @cached_property
    def sentence_starts(self) -> np.ndarray:
        """Tokens of the first stream at which a sentence starts, ascending; int64."""
        return self._table(f"0.{safe(self.streams[0])}.sentences", "<i8")

    @cached_property
    def _bytes(self) -> np.ndarray:
        return self._table(f"0.{safe(self.streams[0])}.bytes", "<i8")

    @cached_property
    def _names(self) -> np.ndarray:
        return self._table("names", "u1")

    @cached_property
    def _name_offsets(self) -> np.ndarray:
        return self._table("names.offsets", "<i8")

    @cached_property
    def _digests(self) -> np.ndarray:
        return self._table("digests", "u1")

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # no mapped file travels


@dataclass(frozen=True)
class Store:
    """A whole token store: its parts, in the order in which they were first met."""

    path: Path
    tokenizer_digest: str
    digest: str
    """Hex SHA-256 over the tokens and where documents and sentences start: what resume compares."""
    parts: tuple[Part, ...]

    def sources(self, split: Split) -> list[str]:
        """Names of the sources that have documents in this split."""
        return [part.source for part in self.parts if part.split == split]

    def part(self, split: Split, source: str) -> Part:
        """One split of one source.

        Raises:
          RunError: the source has no document in this split.
        """
        for part in self.parts:
            if (part.split, part.source) == (split, source):
                return part
        raise RunError(f"token store {self.path}: source {source!r} has no {split} text.{nearest(source, self.sources(split))}")

    def describe(self) -> list[dict[str, Any]]:
        """`split source documents tokens bytes` of each part, for tables."""
        return [
            {
                "split": part.split,
                "source": part.source,
                "documents": part.num_documents,
                "tokens": part.num_tokens,
                "bytes": part.num_bytes,
            }
            for part in self.parts
        ]


def open_store(path: Path, *, verify: bool = False, verify_up_to: int = 0) -> Store:
    """The store in this folder. File lengths are always checked; `verify` reads every block.

    Args:
      verify_up_to: read every block too where all files together have at most so many bytes.

    Raises:
      RunError: no store is there, it is of another format, or a file is not what was written.
    """
    header = _read_header(path)
    num_bytes = sum(record["bytes"] for entry in header["parts"] for record in entry["files"].values())
    check = check_blocks if verify or num_bytes <= verify_up_to else check_size
    kept = _kept(path, header)
    parts = []
    for entry in header["parts"]:
        folder = path / entry["folder"]
        for name, record in entry["files"].items():
            check(folder / name, record)
        parts.append(
            Part(
                folder=folder,
                kept=kept / entry["folder"],
                split=entry["split"],
                source=entry["source"],
                streams=tuple(entry["streams"]),
                dtype=header["dtype"],
                shard_tokens=header["shard_tokens"],
                num_documents=entry["num_documents"],
                stream_tokens=entry["num_tokens"],
                stream_bytes=entry["num_bytes"],
                num_sentences=entry.get("num_sentences"),
            )
        )
    return Store(path, header["tokenizer"], header["digest"], tuple(parts))


def store_address(fingerprints: Sequence[str], tokenizer_digest: str, settings: Mapping[str, Any]) -> str:
    """Where the store of this text lies: a hex digest of the sources' fingerprints, the tokenizer, all settings that
    decide documents and split (JSON values), the store's format and the program's version."""
    try:
        program = version("jaxlm")
    except PackageNotFoundError:  # run from a checkout that is not installed
        program = ""
    identity = [FORMAT, program, list(fingerprints), tokenizer_digest, settings]
    return sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:40]


def default_root() -> Path:
    """`~/.cache/jaxlm/stores`; the environment's JAXLM_CACHE stands for `~/.cache/jaxlm`, and may be in an object store."""
    return cache_root() / "stores"


def tokens_digest(header: Mapping[str, Any]) -> str:
    """Digest over the checksums of all tokens, offsets and sentences of a header."""
    identity = [
        [part["split"], part["source"], part["streams"], name, record["bytes"], record["blocks"]]
        for part in header["parts"]
        for name, record in sorted(part["files"].items())
        if ".tokens." in name or name.endswith(".sentences") or (name.endswith(".offsets") and name != "names.offsets")
    ]
    return sha256(json.dumps([header["dtype"], identity]).encode()).hexdigest()


def safe(name: str) -> str:
    """A name as part of a file's name; not unique, so a number stands before it."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:40]


def _read_header(path: Path) -> dict[str, Any]:
    file = path / HEADER
    if not file.is_file():
        raise RunError(f"{path} is no token store (it has no {HEADER}); give the folder of a finished one, or build it anew")
    try:
        header = json.loads(file.read_text())
        written = header["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"token store: {file} cannot be read ({error}); delete the folder {path} and run again") from error
    if written != FORMAT:
        newer = isinstance(written, int) and written > FORMAT
        raise RunError(
            f"token store {path} has format {written}; this version reads {FORMAT}; "
            f"{'upgrade jaxlm, or ' if newer else ''}delete the folder and run again"
        )
    try:
        whole = tokens_digest(header) == header["digest"]
    except (KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise RunError(f"token store: {file} is not what was written; delete the folder {path} and run again")
    return header


def _kept(path: Path, header: Mapping[str, Any]) -> Path:
    """The folder of this machine for what is made or downloaded of a store; one for each content, as a store may be built anew."""
    content = sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:40]
    return machine_root() / "remote" / "tables" / content if is_remote(path) else path


def _tokens(path: Path, dtype: str, num_files: int) -> np.ndarray | RangedArray:
    return RangedArray(path, dtype, num_files) if is_remote(path) else _map(path, dtype)


def _map(path: Path, dtype: str) -> np.ndarray:
    if size_of(path) == 0:  # cannot be mapped
        return np.zeros(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r"))
