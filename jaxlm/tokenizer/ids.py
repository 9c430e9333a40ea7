"""The special ids of tokenizers that are trained here, the same in each, and the type of ids."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxlm.core import ConfigError, Vocab

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>", "[MASK]", "[CLS]", "[SEP]")
"""Names of ids 0 to 6; sentinels come next, then what stands for text."""


def special_names(num_sentinels: int) -> tuple[str, ...]:
    """Names of all special ids, in their order.

    Raises:
      ConfigError: the number is negative.
    """
    if num_sentinels < 0:
        raise ConfigError(f"tokenizer.num_sentinels: {num_sentinels} is negative. 0 for none; span objectives want 100 or so.")
    return (*SPECIALS, *(f"<extra_id_{i}>" for i in range(num_sentinels)))


def make_vocab(
    size: int,
    num_sentinels: int,
    digest: str,
    starts_word_V: np.ndarray | None = None,
    spacing_V2: np.ndarray | None = None,
) -> Vocab:
    """The vocabulary of a tokenizer whose first ids are `special_names(num_sentinels)`."""
    num_special = len(SPECIALS) + num_sentinels
    return Vocab(
        size=size,
        digest=digest,
        pad=0,
        unk=1,
        bos=2,
        eos=3,
        mask=4,
        cls=5,
        sep=6,
        sentinels=tuple(range(len(SPECIALS), num_special)),
        special_V=np.arange(size) < num_special,
        starts_word_V=starts_word_V,
        spacing_V2=spacing_V2,
    )


def spacing(texts: Sequence[str]) -> np.ndarray:
    """`Vocab.spacing_V2` of ids that stand for these texts; int8."""

    def at_ends(text: str) -> tuple[int, int]:
        if text.isspace():
            return -1, -1
        begin, end = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return min(bool(begin) + begin.count("\n"), 3), min(bool(end) + end.count("\n"), 3)

    return np.array([at_ends(text) for text in texts], np.int8)


def id_dtype(size: int) -> type[np.unsignedinteger[Any]]:
    """uint16 where it holds all ids of a vocabulary of this size, else uint32."""
    return np.uint16 if size <= 1 << 16 else np.uint32


def join_bytes(bytes_V: Sequence[bytes] | Mapping[int, bytes], ids_N: Sequence[int] | np.ndarray) -> str:
    """The text of these ids, where each id stands for some bytes of UTF-8.

    Lone surrogates come back as they were encoded; bytes that are no text, as a model may write them, become U+FFFD.
    """
    data = b"".join([bytes_V[i] for i in np.asarray(ids_N).tolist()])
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def character_ends(text: str, num_bytes_N: np.ndarray) -> np.ndarray:
    """Where, in characters, ids end that stand for so many bytes of the text in UTF-8 each, one after another; int64 [N]."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    begun = np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80)])  # characters that begin within the first bytes
    return begun[np.cumsum(num_bytes_N)]


def byte_name(byte: int) -> str:
    """`<0x0A>`"""
    return f"<0x{byte:02X}>"
