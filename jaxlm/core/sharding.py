"""How a model asks for an activation's sharding without knowing of a mesh.

`constrain` passes an array and its logical axis names to whatever resolver is in force. The train step enters one
around its own tracing, so that it cannot be forgotten; with none (a model called by hand on one device) the array is
returned as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Resolver(Protocol):
    """What logical names mean on a mesh."""

    @property
    def platform(self) -> str:
        """That of the mesh's devices."""

    def cuts(self, name: str) -> bool:
        """Whether several devices share a dim of this name out."""

    def __call__(self, x: Any, names: tuple[str | None, ...]) -> Any:
        """`x`, constrained."""

    def within_shards(self, function: Callable[..., Any], rows: Sequence[Any], whole: Sequence[Any]) -> Any:
        """See `within_shards` below."""


_resolver: ContextVar[Resolver | None] = ContextVar("resolver", default=None)


def constrain(x: Any, *names: str | None) -> Any:
    """`x` with its dims sharded as the rules say for these logical names, one a dim; None: not sharded."""
    assert x.ndim == len(names), f"{len(names)} logical names {names} for an array of shape {x.shape}"
    resolver = _resolver.get()
    return x if resolver is None else resolver(x, names)


def within_shards(function: Callable[..., Any], rows: Sequence[Any], whole: Sequence[Any]) -> Any:
    """`function(*rows, *whole)` by each device for its own rows alone: what is sorted there asks no other device.

    Args:
      function: gives an array [B, ...], each row of which depends on that row of `rows` and on `whole`; calls no `constrain`.
      rows: arrays [B, ...]; B is cut as the batch is.
      whole: arrays that each device is given all of.
    """
    resolver = _resolver.get()
    return function(*rows, *whole) if resolver is None else resolver.within_shards(function, rows, whole)


def is_cut(name: str) -> bool:
    """Whether several devices share a dim of this logical name out."""
    resolver = _resolver.get()
    return resolver is not None and resolver.cuts(name)


def platform() -> str:
    """What the step is compiled for, "cpu", "gpu" or "tpu": the mesh's, which may be another machine's, else this process's."""
    import jax

    resolver = _resolver.get()
    return jax.default_backend() if resolver is None else resolver.platform


@contextmanager
def constraints(resolver: Resolver) -> Iterator[None]:
    """Within it, `constrain` asks `resolver`."""
    token = _resolver.set(resolver)
    try:
        yield
    finally:
        _resolver.reset(token)
