"""Tokenizers on disk: a folder with a description, and beside it the files of the tokenizer's own library."""

import json
from pathlib import Path
from typing import Any

from jaxlm.core import RunError
from jaxlm.core.errors import nearest
from jaxlm.core.lookup import load
from jaxlm.core.paths import write_whole
from jaxlm.tokenizer.base import Tokenizer

DESCRIPTION = "jaxlm_tokenizer.json"
FORMAT = 1

KINDS = {
    "bytes": "jaxlm.tokenizer.byte_level:ByteTokenizer",
    "characters": "jaxlm.tokenizer.characters:CharacterTokenizer",
    "sentencepiece": "jaxlm.tokenizer.sentencepiece:SentencePieceTokenizer",
    "tokenizers": "jaxlm.tokenizer.hugging_face:HuggingFaceTokenizer",
}
"""What a description's `kind` names: a class with `load(folder, **fields)`."""


def write_description(folder: Path, kind: str, digest: str, **fields: Any) -> None:
    """Writes the description, whole or not at all; call it after the other files, so that it vouches for them."""
    description = {"format": FORMAT, "kind": kind, "digest": digest, "fields": fields}
    write_whole(folder / DESCRIPTION, json.dumps(description, indent=1) + "\n")


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """The tokenizer that was saved in this folder.

    Raises:
      RunError: a file is missing or broken, or its content is not what was saved.
    """
    folder = Path(folder) if isinstance(folder, str) else folder
    path = folder / DESCRIPTION
    description = _description(path)
    kind, digest = description["kind"], description["digest"]
    if kind not in KINDS:
        raise RunError(f"{path}: the kind of tokenizer {kind!r} is unknown.{nearest(kind, KINDS)}")
    try:
        tokenizer: Tokenizer = load(KINDS[kind]).load(folder, **description["fields"])
    except TypeError as error:  # fields that this kind doesn't have
        raise _broken(path, error) from error
    if tokenizer.vocab.digest != digest:
        raise RunError(
            f"{folder}: the tokenizer is not the one that was saved (digest {tokenizer.vocab.digest[:12]}, {path.name} says "
            f"{digest[:12]}). Restore the files of this folder together."
        )
    return tokenizer


def read_part(path: Path) -> bytes:
    """A file beside the description.

    Raises:
      RunError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}). Restore it; the tokenizer is nothing without it.") from error


def _description(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise RunError(
            f"{path} does not exist: this folder holds no tokenizer. Bring back the run's tokenizer/, or name another run."
        )
    try:
        description = json.loads(read_part(path))
        found, wanted = description["format"], {"kind": str, "digest": str, "fields": dict}
        missing = [name for name, kind in wanted.items() if not isinstance(description.get(name), kind)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, error) from error
    if found != FORMAT:
        raise RunError(f"{path} has format {found}, this jaxlm reads {FORMAT}. Use the jaxlm that wrote it.")
    if missing:
        raise _broken(path, f"it lacks {', '.join(sorted(missing))}")
    return description


def _broken(path: Path, reason: object) -> RunError:
    return RunError(f"{path} is broken ({reason}). Restore it from the run that made it.")
