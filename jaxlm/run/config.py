"""The whole of a run, as one value: the groups of all rooms together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.data.config import DataConfig
from jaxlm.models.model import Model
from jaxlm.objectives.base import Objective
from jaxlm.optim.base import Optimizer
from jaxlm.parallel.config import MeshConfig
from jaxlm.tokenizer.base import TokenizerConfig
from jaxlm.train.config import LogConfig, TrainConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run. A recipe returns one; the command line overrides any field of its values."""

    model: Model
    """The network, such as `gpt2("small")`."""
    objective: Objective
    """What it learns from text."""
    optimizer: Optimizer
    """How gradients become updates."""
    tokenizer: TokenizerConfig
    """How text becomes ids."""
    data: DataConfig
    """Which text, and how it is cut into rows."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How long, in which portions, from which seed."""
    mesh: MeshConfig = field(default_factory=MeshConfig)
    """How many devices, and what each axis of them is for."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """When the state is saved."""
    log: LogConfig = field(default_factory=LogConfig)
    """What is written down."""


def planned_steps(config: RunConfig, saved: Mapping[str, Any] | None) -> int:
    """`train.steps`; of a run that goes on and took as many as fit `train.minutes`, those."""
    if config.train.minutes is None or saved is None:
        return config.train.steps
    return min(config.train.steps, saved["train"]["steps"])


def with_schedule_length(config: RunConfig, saved: Mapping[str, Any] | None = None) -> RunConfig:
    """The config with `train.steps` as planned and `optimizer.steps` resolved: as given, else the run's own of before,
    else `train.steps`.

    Args:
      saved: the config, in JSON, of the run that goes on; None: a new run.
    """
    config = replace(config, train=replace(config.train, steps=planned_steps(config, saved)))
    if config.optimizer.steps is not None:
        return config
    steps = saved["optimizer"]["steps"] if saved else config.train.steps
    return replace(config, optimizer=replace(config.optimizer, steps=steps))
