"""Finding and opening the files that a source names: a file, a folder or a glob, plain, .gz or .bz2."""

import bz2
import glob
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from typing import IO, Any

from jaxlm.core import ConfigError, RunError

COMPRESSED: dict[str, Callable[[Path, str], Any]] = {".gz": gzip.open, ".bz2": bz2.open}
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged or unreadable file raises."""


@dataclass(frozen=True)
class FoundFile:
    """A file and its name below the folder that was searched, with forward slashes on every system."""

    path: Path
    id: str


def find_files(paths: Path | str | Sequence[Path | str], suffixes: Sequence[str]) -> list[FoundFile]:
    """All files that `paths` name, sorted by id, each once.

    Folders are searched recursively for `suffixes`, also followed by .gz or .bz2; a file that is named, or matched by a
    glob, is taken whatever its suffix. Ids are relative to the folder, or to the deepest that all paths share.

    Raises:
      ConfigError: a path is missing, matches nothing, or holds only empty files.
    """
    entries = [paths] if isinstance(paths, (str, PurePath)) else list(paths)
    if not entries or any(str(entry) == "" for entry in entries):
        raise ConfigError("path: no path is given. Name a file, a folder or a glob.")
    found: set[str] = set()
    roots = []
    for entry in entries:
        if "://" in str(entry):
            raise ConfigError(f"path: {entry} is not of this machine, and text is read from files: copy it to a folder first.")
        root, matched = _match(os.path.expanduser(entry), suffixes)
        roots.append(root)
        found.update(matched)
    base = os.path.commonpath(roots)
    named = (FoundFile(Path(path), Path(os.path.relpath(path, base)).as_posix()) for path in found)
    return sorted(named, key=lambda file: file.id)


def open_file(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed by its suffix."""
    return COMPRESSED.get(path.suffix, open)(path, "rb")


def read_file(path: Path) -> bytes:
    """All bytes of a file, decompressed by its suffix.

    Raises:
      RunError: the file cannot be read, or is damaged.
    """
    try:
        with open_file(path) as file:
            return file.read()
    except BROKEN as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException) -> RunError:
    """The one message about a file that exists and cannot be read."""
    return RunError(f"{path} cannot be read: {error}. Replace the file or leave it out.")


def stem(path: Path | str | Sequence[Path | str]) -> str:
    """`books` for books/, books.txt, books.jsonl.gz and books/*.txt: the short name of a source of files."""
    first = Path(path) if isinstance(path, (str, PurePath)) else Path(path[0]) if path else Path()
    plain = [part for part in first.parts if not glob.has_magic(part)]
    name = plain[-1] if plain else ""
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).stem if name.strip("./\\") else "text"


def files_fingerprint(files: Iterable[FoundFile], *settings: object) -> str:
    """Digest of names, sizes and times of change, and of the settings that decide what is read from them."""
    digest = sha256(repr(settings).encode())
    for file in files:
        status = file.path.stat()
        digest.update(f"\0{file.id}\0{status.st_size}\0{status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _match(entry: str, suffixes: Sequence[str]) -> tuple[str, list[str]]:
    """(the absolute folder that ids are relative to, absolute paths of the files)."""
    path = os.path.abspath(entry)
    endings = tuple(suffix + packed for suffix in suffixes for packed in ("", *COMPRESSED))
    if os.path.isfile(path):
        root, files, wanted = os.path.dirname(path), [path], "a file with something in it"
    elif os.path.isdir(path):
        names = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
        root, files = path, [name for name in names if name.endswith(endings)]
        wanted = f"files that end in {', '.join(suffixes)}, also with .gz or .bz2 after it"
    elif glob.has_magic(entry):
        root, files = _fixed_part(path), [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
        wanted = "at least one file that the pattern matches (quote it, and use ** for folders within folders)"
    else:
        raise ConfigError(f"path: {entry} does not exist. Name a file, a folder, or a glob such as 'books/*.txt.gz'.")
    if not files:
        raise ConfigError(f"path: {entry} matches no file. Wanted: {wanted}.")
    if not any(os.path.getsize(file) for file in files):
        raise ConfigError(f"path: {entry} is empty. Wanted: {wanted}.")
    return root, files


def _fixed_part(pattern: str) -> str:
    """The folder above a pattern's first wildcard."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder
