"""The step as a program: what it computes, from what, and where; known before any text is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from jaxlm.core import Sums
from jaxlm.core.sharding import constraints
from jaxlm.optim import Optimizer
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.config import TrainConfig
from jaxlm.train.state import Layout, TrainState
from jaxlm.train.step import train_step


@dataclass(frozen=True)
class Program:
    """Made by `jaxlm.run.program`; that of a run is a part of it."""

    model: Any
    objective: Any
    optimizer: Optimizer
    train: TrainConfig
    partitioner: Partitioner
    layout: Layout
    batch: Mapping[str, jax.ShapeDtypeStruct]
    """A batch's arrays, with the rows of weight 0 that fill microbatches and devices, and where they lie."""

    @property
    def padded_size(self) -> int:
        """Rows of a batch with those of weight 0."""
        return self.batch["row"].shape[0]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Places of a row: of the decoder's fields, and of the encoder's where the objective has one."""
        return tuple(self.batch[name].shape[1] for name in ("tokens", "encoder_tokens") if name in self.batch)

    def jitted(self) -> Any:
        """`train_step`, (state, batch) -> (state, sums), under `jax.jit`: its state donated, every array's sharding given."""

        def step(state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
            with constraints(self.partitioner):
                return train_step(
                    state,
                    batch,
                    model=self.model,
                    objective=self.objective,
                    optimizer=self.layout.transformation,
                    num_microbatches=self.train.num_microbatches,
                )

        rows = self.partitioner.rows((self.padded_size,))
        shardings = self.layout.shardings
        return jax.jit(step, in_shardings=(shardings, rows), out_shardings=(shardings, None), donate_argnums=0)

    def compiled(self) -> jax.stages.Compiled:
        """The same for the devices of its mesh, which may be those of another machine."""
        traced = self.jitted().trace(self.layout.abstract, self.batch)
        return traced.lower(lowering_platforms=(self.partitioner.platform,)).compile()
