"""A keyed permutation of range(n), computed element by element: a shuffle of any size that takes no memory.

A Feistel network over pairs (a, b), n <= A * B with A and B near sqrt(n): rounds add a keyed hash of one half to the
other, modulo its size, so each round can be undone and the whole is a permutation of A * B; a result of n or more is
sent through again ("cycle walking"; Black and Rogaway 2002), which makes it one of n.
"""

from functools import lru_cache
from hashlib import blake2b
from math import isqrt

import numpy as np

ROUNDS = 8


def permute(indices: np.ndarray, n: int, seed: int, source: int, epoch: int) -> np.ndarray:
    """Where each of `indices` (int64, in [0, n)) goes in the order of this seed, source and epoch; int64."""
    x = np.asarray(indices, np.int64)
    if n < 2:
        return x.copy()
    num_low = isqrt(n - 1) + 1  # rounded up
    num_high = -(-n // num_low)
    keys = _round_keys(seed, source, epoch)
    x = _encrypt(x, num_high, num_low, keys)
    while (outside := x >= n).any():
        x[outside] = _encrypt(x[outside], num_high, num_low, keys)
    return x


def _encrypt(x: np.ndarray, num_high: int, num_low: int, keys: np.ndarray) -> np.ndarray:
    num_high_, num_low_ = np.uint64(num_high), np.uint64(num_low)
    high, low = np.divmod(x.astype(np.uint64), num_low_)
    for key in keys.reshape(-1, 2):
        high = (high + _hash(low ^ key[0]) % num_high_) % num_high_
        low = (low + _hash(high ^ key[1]) % num_low_) % num_low_
    return (high * num_low_ + low).astype(np.int64)


def _hash(x: np.ndarray) -> np.ndarray:
    """Mixes 64 bits (the finaliser of SplitMix64, Steele et al. 2014); products wrap."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=1024)
def _round_keys(seed: int, source: int, epoch: int) -> np.ndarray:
    digest = blake2b(f"shuffle {seed} {source} {epoch}".encode(), digest_size=8 * ROUNDS).digest()
    return np.frombuffer(digest, "<u8").astype(np.uint64)
