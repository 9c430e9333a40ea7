"""Files with a checksum a block: what a token store is made of."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from jaxlm.core import RunError
from jaxlm.core.errors import writing
from jaxlm.core.paths import size_of

BLOCK_BYTES = 2**24
ROOM = "Free some space, or set JAXLM_CACHE to a folder on another disk, and run the same command again; what was there stands"
"""What to do where a store cannot be written."""


@dataclass
class BlockWriter:
    """Appends to one file and keeps the checksum of each block.

    `record()` says what has been written; given back as `resume`, the file is cut to that length and goes on.
    """

    path: Path
    resume: Mapping[str, Any] | None = None
    size: int = 0
    _blocks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._hash = _new_hash()
        with writing(self.path, ROOM):
            self._file = open(self.path, "r+b" if self.resume else "wb")  # noqa: SIM115  (closed by close)
        if self.resume:
            full = self.resume["bytes"] // BLOCK_BYTES
            self._blocks = list(self.resume["blocks"][:full])
            self.size = self.resume["bytes"]
            self._file.truncate(self.size)
            self._file.seek(full * BLOCK_BYTES)
            self._hash.update(self._file.read())  # the block that was left unfinished

    def write(self, data: bytes) -> None:
        """Appends.

        Raises:
          RunError: the file cannot be written (a full disk).
        """
        with writing(self.path, ROOM):
            self._file.write(data)
        view = memoryview(data)
        while view:
            room = BLOCK_BYTES - self.size % BLOCK_BYTES
            self._hash.update(view[:room])
            self.size += len(view[:room])
            view = view[room:]
            if self.size % BLOCK_BYTES == 0:
                self._blocks.append(self._hash.hexdigest())
                self._hash = _new_hash()

    def record(self) -> dict[str, Any]:
        """`{"bytes": length, "blocks": [checksum, ...]}`, the last block as far as it goes."""
        unfinished = [self._hash.hexdigest()] if self.size % BLOCK_BYTES else []
        return {"bytes": self.size, "blocks": self._blocks + unfinished}

    def sync(self) -> None:
        """On the disk, also if the machine fails now.

        Raises:
          RunError: the file cannot be written (a full disk).
        """
        with writing(self.path, ROOM):
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Lets go of the file; what was not synced may be lost."""
        with suppress(OSError):
            self._file.close()


def check_size(path: Path, record: Mapping[str, Any]) -> None:
    """Raises RunError where the file is missing or of another length than was written."""
    size = size_of(path)
    if size != record["bytes"]:
        found = "is missing" if size is None else f"has {size} bytes where {record['bytes']} were written (truncated or altered)"
        raise RunError(f"token store: {path} {found}; delete the folder {_store_of(path)} and run again to build it anew")


def check_blocks(path: Path, record: Mapping[str, Any]) -> None:
    """Reads the whole file; raises RunError naming the file and its first block that differs from what was written."""
    check_size(path, record)
    with path.open("rb") as file:
        for number, expected in enumerate(record["blocks"]):
            block = _new_hash()
            block.update(file.read(BLOCK_BYTES))
            if block.hexdigest() != expected:
                raise RunError(
                    f"token store: {path}, block {number} (bytes {number * BLOCK_BYTES} and on) is not what was written; "
                    f"delete the folder {_store_of(path)} and run again to build it anew"
                )


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _store_of(path: Path) -> Path:
    return path.parent.parent  # store/part/file


def _new_hash() -> Any:
    return blake2b(digest_size=16)
