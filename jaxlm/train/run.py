"""A run as a value: all that the loop needs, built before a step is made."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import Example
from jaxlm.parallel.peers import Peers
from jaxlm.train.config import LogConfig
from jaxlm.train.log import Log
from jaxlm.train.program import Program
from jaxlm.train.state import TrainState

History = list[list[int]]
"""`[step, position, batch_size]` at each change of the batch size: which rows any step saw."""


class Start(NamedTuple):
    """Where a run takes up: a fresh state, or a checkpoint's."""

    state: TrainState
    history: History
    resumed_from: int
    """The step of the checkpoint; 0: none, the run is new."""


class Hook(Protocol):
    """Called after each line of metrics. `state` is given to the next step, which reuses its memory: copy what you keep."""

    def __call__(self, step: int, state: TrainState, metrics: Mapping[str, float]) -> None: ...


@dataclass(frozen=True)
class Run(Program):
    """A program with its data, its folder and its processes. Made by `jaxlm.run.assemble`; `jaxlm.train.loop.train` runs it."""

    folder: Path
    log: LogConfig
    checkpoint: CheckpointConfig
    peers: Peers
    """The processes that train it."""
    meeting_seconds: float
    """How long they wait for each other where it may take long: to compile, to save."""
    start: Callable[[CheckpointStore], Start]
    batches: Callable[[int], Iterator[Example]]
    """This process's rows of the batches from a position on."""
    evaluate: Callable[[Any], dict[str, float]]
    """Parameters to `eval/...` metrics over the held-out text."""
    logs: Callable[[int], Sequence[Log]]
    """Opens where metrics go, for a run that takes up after a step."""
    meta: Mapping[str, Any]
    """Plain JSON that is saved with each checkpoint: config, digests."""
