"""The whole of a run, as one value: the groups of all rooms together."""

from dataclasses import dataclass, field

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.data.config import DataConfig
from jaxlm.models.layers.base import Settings
from jaxlm.objectives.base import Objective
from jaxlm.optim.base import Optimizer
from jaxlm.parallel.config import MeshConfig
from jaxlm.tokenizer.base import TokenizerConfig
from jaxlm.train.config import LogConfig, TrainConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run. A recipe returns one; the command line overrides any field of its values."""

    model: Settings
    """The network: a `Transformer`, such as `gpt2("small")`, or a model of the recipe's own."""
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
