"""Packing as an index map: which stretches of a part's stream make row i. No token is read or moved.

    windows     row i is [i * stride, i * stride + width) of the stream; computed on the fly; moved from epoch to epoch
    documents   one document a row; longer ones are cut into rows that share `overlap` tokens
    best_fit    documents cut likewise, then put together where they fit: best-fit decreasing

Where several streams of parallel text are read, `documents` and `best_fit` cut none: a document counts as long as its
longest stream, so that all of them fit, and one that fits no row is left out and counted.

`stride` is `width - overlap`. Best fit: each piece, longest first, goes into the fullest row that still has room for
it (arXiv:2404.10830 packs documents so).
"""

import os
import tempfile
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from jaxlm.data.blocks import sync_folder
from jaxlm.data.store import Part

MAP_FORMAT = 1
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, spread evenly however many there are."""


class Packing(Protocol):
    """An index map; it travels to data workers by the name of its file."""

    def __len__(self) -> int:
        """Rows."""
        ...

    def pieces(self, i: int) -> list[tuple[int, int]]:
        """Row i as stretches [start, stop) of the stream, together at most `width` tokens; from `len` on, those of the
        next epochs."""
        ...

    @property
    def waste(self) -> float:
        """Share of all rows' places that stays empty."""
        ...

    @property
    def num_left_out(self) -> int:
        """Documents that are in no row."""
        ...


def pack(
    part: Part, kind: Literal["windows", "best_fit", "documents"], width: int, overlap: int, streams: tuple[str, ...] = ()
) -> Packing:
    """The index map of a part for rows of `width` tokens; stored beside the store where it took work, or on this machine where the
    store is in an object store.

    Args:
      streams: those that are to fit whole; (): the first, which may be cut.
    """
    assert 0 <= overlap < width, f"rows of {width} tokens cannot share {overlap} with the next"
    assert not (streams and kind == "windows"), "windows cut documents, whose other streams are whole"
    return Windows(part.num_tokens, width, overlap) if kind == "windows" else StoredMap(part, kind, width, overlap, streams)


@dataclass(frozen=True)
class Windows:
    """The stream cut into equal windows; none without a token that is new.

    Each epoch cuts elsewhere, so that a token which lacked its context has it in the next: the first has whole windows, a
    later one begins within a window and leaves as much out at the end.
    """

    num_tokens: int
    width: int
    overlap: int

    def __len__(self) -> int:
        if not self.num_tokens:
            return 0
        return max(1, -(-(self.num_tokens - self.overlap) // (self.width - self.overlap)))

    def pieces(self, i: int) -> list[tuple[int, int]]:
        stride = self.width - self.overlap
        epoch, index = divmod(i, len(self))
        start = index * stride - (int(epoch * GOLDEN % 1 * stride) if len(self) > 1 else 0)
        return [(max(0, start), min(start + self.width, self.num_tokens))]

    @property
    def waste(self) -> float:
        rows = len(self)
        used = self.num_tokens + max(0, rows - 1) * self.overlap  # in the first epoch
        return 1 - used / (rows * self.width) if rows else 0.0

    @property
    def num_left_out(self) -> int:
        return 0


@dataclass(frozen=True)
class StoredMap:
    """An index map that was computed once, from the documents' lengths, and is mapped from its file."""

    part: Part
    kind: Literal["best_fit", "documents"]
    width: int
    overlap: int
    streams: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._row_ends)

    def pieces(self, i: int) -> list[tuple[int, int]]:
        i %= len(self)
        first = self._row_ends[i - 1] if i else 0
        return [(int(start), int(stop)) for start, stop in self._pieces[first : self._row_ends[i]]]

    @property
    def waste(self) -> float:
        if not len(self):
            return 0.0
        used = int((self._pieces[:, 1] - self._pieces[:, 0]).sum())
        if self.streams:
            numbers = self.part.offsets().searchsorted(self._pieces[:, 0], "right") - 1
            used = sum(int(np.diff(self.part.offsets(stream))[numbers].sum()) for stream in self.streams)
        return 1 - used / (len(self) * self.width * max(1, len(self.streams)))

    @property
    def num_left_out(self) -> int:
        return self.part.num_documents - len(self._pieces) if self.streams else 0

    @property
    def path(self) -> Path:
        """Where the map is kept."""
        whole = "".join(f"-{number}" for number in sorted(self.part.streams.index(stream) for stream in self.streams))
        return self.part.kept / f"{self.kind}-{self.width}-{self.overlap}{whole and f'.whole{whole}'}.{MAP_FORMAT}.npy"

    @cached_property
    def _array(self) -> np.ndarray:
        """int64: number of rows, the end of each row among the pieces, then start and stop of each piece."""
        try:
            return np.asarray(np.load(self.path, mmap_mode="r"))
        except (OSError, ValueError):  # not there yet, or not whole
            pass
        pieces, row_ends = self._compute()
        array = np.concatenate([[len(row_ends)], row_ends, pieces.ravel()]).astype(np.int64)
        _save(self.path, array)
        return array

    def _compute(self) -> tuple[np.ndarray, np.ndarray]:
        if self.streams:
            pieces, lengths_P = whole_documents(self.part, self.streams, self.width)
        else:
            pieces = cut_documents(self.part.offsets(), self.width, self.overlap)
            lengths_P = pieces[:, 1] - pieces[:, 0]
        if self.kind == "documents" or not len(pieces):
            return pieces, np.arange(1, len(pieces) + 1)
        row_of_piece = best_fit(lengths_P, self.width)
        return pieces[np.argsort(row_of_piece, kind="stable")], np.cumsum(np.bincount(row_of_piece))

    @cached_property
    def _row_ends(self) -> np.ndarray:
        return self._array[1 : 1 + self._array[0]]

    @cached_property
    def _pieces(self) -> np.ndarray:
        return self._array[1 + self._array[0] :].reshape(-1, 2)

    def __getstate__(self) -> dict:
        return {name: getattr(self, name) for name in ("part", "kind", "width", "overlap", "streams")}


def cut_documents(offsets: np.ndarray, width: int, overlap: int) -> np.ndarray:
    """Start and stop of all pieces, [P, 2]: a document that fits is one, a longer one is cut, its pieces overlapping."""
    lengths = np.diff(offsets)
    stride = width - overlap
    counts = np.maximum(1, -(-(lengths - overlap) // stride))
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = offsets[document] + number * stride
    return np.stack([starts, np.minimum(starts + width, offsets[document + 1])], axis=1)


def whole_documents(part: Part, streams: Sequence[str], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop [P, 2], in the part's first stream, of the documents none of whose streams has more than `width` tokens, and
    the length [P] of the longest of each."""
    longest = np.max([np.diff(part.offsets(stream)) for stream in streams], axis=0)
    offsets = part.offsets()
    fits = longest <= width
    return np.stack([offsets[:-1][fits], offsets[1:][fits]], axis=1), longest[fits]


def best_fit(lengths_P: np.ndarray, width: int) -> np.ndarray:
    """Best-fit decreasing: the row of each piece, [P], for pieces of at most `width`.

    Pieces of one length are placed together (into the row with least room, as many as it holds, then into the next),
    which gives the rows that placing one by one gives, in O(P log P) and without a Python loop over the pieces.
    """
    row_of_piece = np.empty(len(lengths_P), np.int64)
    by_length = np.argsort(-lengths_P, kind="stable")
    lengths, firsts = np.unique(-lengths_P[by_length], return_index=True)
    rooms: list[int] = []  # ascending: rooms left in some row
    rows_with: dict[int, list[np.ndarray]] = {}
    num_rows = 0

    def give_back(room: int, rows: np.ndarray) -> None:
        if room and len(rows):
            if room not in rows_with:
                insort(rooms, room)
            rows_with.setdefault(room, []).append(rows)

    for length, pieces in zip(-lengths, np.split(by_length, firsts[1:]), strict=True):
        while len(pieces):
            at = bisect_left(rooms, length)
            room = rooms[at] if at < len(rooms) else width
            each = int(room // length)
            wanted = -(-len(pieces) // each)
            if at < len(rooms):
                rows = rows_with[room].pop()
                rows, rest = rows[:wanted], rows[wanted:]
                if len(rest):
                    rows_with[room].append(rest)
                elif not rows_with[room]:
                    del rows_with[room], rooms[at]
            else:
                rows = np.arange(num_rows, num_rows + wanted)
                num_rows += wanted
            placed = min(len(pieces), len(rows) * each)
            row_of_piece[pieces[:placed]] = np.repeat(rows, each)[:placed]
            in_last = placed - (len(rows) - 1) * each
            give_back(room - each * int(length), rows[:-1])
            give_back(room - in_last * int(length), rows[-1:])
            pieces = pieces[placed:]
    return row_of_piece


def _save(path: Path, array: np.ndarray) -> None:
    """Whole or not at all; in a store that may not be written to the map is computed anew each time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError:
        return
    try:
        with open(descriptor, "wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
