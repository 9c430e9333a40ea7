"""A whole token store, read and compared with what was written."""

from pathlib import Path

import numpy as np

from jaxlm.core import RunError
from jaxlm.data.store import HEADER, Part, Store, open_store

AT_ONCE = 2**20
"""Documents whose places are compared at once."""


def verify_store(path: Path) -> Store:
    """Reads every block of every file, then holds the tables of documents against each other and the header's counts.

    Raises:
      RunError: there is no store, or it is not what was written; the message names the file, and the block if it is one.
    """
    store = open_store(path, verify=True)
    again = f"delete the folder {path} and run again to build it anew"
    for part in store.parts:
        for what, found, expected in part.counts():
            if found != expected:
                raise RunError(f"token store: {part.folder} holds {found} {what}, {path / HEADER} says {expected}; {again}")
        for stream in part.streams:
            if (number := _misplaced(part, stream)) is not None:
                raise RunError(f"token store: {part.folder}: document {number} of {stream!r} ends before it begins; {again}")
        if part.num_sentences is not None and (number := _unordered(part)) is not None:
            raise RunError(
                f"token store: {part.folder}: sentence {number} starts before the one in front of it, or in no text; {again}"
            )
    return store


def _unordered(part: Part) -> int | None:
    """The first sentence that starts outside the text or not after the one before."""
    starts = part.sentence_starts
    for first in range(0, len(starts), AT_ONCE):
        some = starts[max(first - 1, 0) : first + AT_ONCE]
        before = np.concatenate([some[:1] - 1, some[:-1]])
        wrong = np.flatnonzero((some <= before) | (some < 0) | (some >= part.num_tokens))
        if len(wrong):
            return max(first - 1, 0) + int(wrong[0])
    return None


def _misplaced(part: Part, stream: str) -> int | None:
    """The first document without room for its bos and eos."""
    offsets_N = part.offsets(stream)
    for first in range(0, part.num_documents, AT_ONCE):
        short = np.flatnonzero(np.diff(offsets_N[first : first + AT_ONCE + 1]) < 2)
        if len(short):
            return first + int(short[0])
    return None
