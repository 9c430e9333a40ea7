"""Programs that several processes run as one."""

from collections.abc import Callable
from typing import Any

from jaxlm.parallel.peers import Peers


def compiled_together(jitted: Any, peers: Peers, name: str, seconds: float) -> Callable[..., Any]:
    """`jitted`, of arguments that keep their shapes, compiled by all processes before any runs it, at most `seconds` apart.

    Who compiles faster waits for the others here, where the wait has a name and our bound, and not in its first collective,
    which has bounds of its own (Gloo's: 30 s).
    """
    if peers.count == 1:
        return jitted  # type: ignore[no-any-return]
    compiled: Any = None

    def call(*arguments: Any) -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = jitted.lower(*arguments).compile()
            peers.meet(name, seconds=seconds)
        return compiled(*arguments)

    return call
