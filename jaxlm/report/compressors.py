"""What general compressors need for the held-out text: a yardstick that everybody knows."""

import gzip
import lzma
from collections.abc import Callable

Compress = Callable[[bytes], bytes]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _xz(data: bytes) -> bytes:
    dictionary = max(1 << 23, 1 << (len(data) - 1).bit_length())  # all of it is in reach
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": min(dictionary, (1 << 32) - 1)}]
    return lzma.compress(data, filters=filters)


COMPRESSORS: dict[str, Compress] = {"gzip": _gzip, "xz": _xz}


def bits_per_byte(held_out: bytes, training: bytes) -> dict[str, tuple[float, float]]:
    """Of each compressor: bits a byte of the held-out text, alone and with the training text before it as dictionary.

    With a dictionary is size(training + held out) - size(training). gzip sees only the last 32 KiB of it, xz all.
    """
    assert held_out, "there is held-out text"
    found = {}
    for name, compress in COMPRESSORS.items():
        alone = len(compress(held_out))
        after = len(compress(training + held_out)) - len(compress(training))
        found[name] = (8 * alone / len(held_out), 8 * after / len(held_out))
    return found
