"""How a model asks for an activation's sharding without knowing of a mesh.

`constrain` passes an array and its logical axis names to whatever resolver is in force. The train step enters one
around its own tracing, so that it cannot be forgotten; with none (a model called by hand on one device) the array is
returned as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Resolver = Callable[[Any, tuple[str | None, ...]], Any]
_resolver: ContextVar[Resolver | None] = ContextVar("resolver", default=None)


def constrain(x: Any, *names: str | None) -> Any:
    """`x` with its dims sharded as the rules say for these logical names, one a dim; None: not sharded."""
    assert x.ndim == len(names), f"{len(names)} logical names {names} for an array of shape {x.shape}"
    resolver = _resolver.get()
    return x if resolver is None else resolver(x, names)


@contextmanager
def constraints(resolver: Resolver) -> Iterator[None]:
    """Within it, `constrain` asks `resolver`."""
    token = _resolver.set(resolver)
    try:
        yield
    finally:
        _resolver.reset(token)
