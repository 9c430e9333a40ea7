"""Activations times parameters."""

import math

from jaxtyping import Array


def project(x: Array, kernel: Array, contracted: int = 1) -> Array:
    """Sum over the last `contracted` dims of x and the first of `kernel`, in x's dtype: [..., *c] x [*c, *out] -> [..., *out].

    One product of two matrices: of rows and length apart, XLA's CPU compiler copies operands, a quarter of a step's time.
    """
    inner, out = kernel.shape[:contracted], kernel.shape[contracted:]
    size = math.prod(inner)
    y = x.reshape(-1, size) @ kernel.reshape(size, -1).astype(x.dtype)
    return y.reshape(*x.shape[: x.ndim - contracted], *out)
