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
    return store


def _misplaced(part: Part, stream: str) -> int | None:
    """The first document without room for its bos and eos."""
    offsets_N = part.offsets(stream)
    for first in range(0, part.num_documents, AT_ONCE):
        short = np.flatnonzero(np.diff(offsets_N[first : first + AT_ONCE + 1]) < 2)
        if len(short):
            return first + int(short[0])
    return None
