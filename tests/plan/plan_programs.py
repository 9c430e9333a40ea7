"""Programs that the tests of this folder look at: tiny rows on eight simulated devices."""

import jax
import tiny

from jaxlm.objectives import CausalLM, Objective
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.train.config import TrainConfig
from jaxlm.train.program import Program
from jaxlm.train.state import layout


def program(
    model, mesh: MeshConfig, batch_size: int = 16, num_microbatches: int = 1, objective: Objective | None = None
) -> Program:
    partitioner = Partitioner.of(mesh, jax.devices())
    multiple = partitioner.batch_shards * num_microbatches
    rows = -(-batch_size // multiple) * multiple
    shapes = {name: (rows, *values.shape[1:]) for name, values in tiny.batch(CausalLM(), 1).items()}
    dtypes = {name: values.dtype for name, values in tiny.batch(CausalLM(), 1).items()}
    optimizer = AdamW(steps=1)
    return Program(
        model=model,
        objective=objective or CausalLM(),
        optimizer=optimizer,
        train=TrainConfig(batch_size=batch_size, num_microbatches=num_microbatches),
        partitioner=partitioner,
        layout=layout(model, optimizer, partitioner),
        batch={name: jax.ShapeDtypeStruct(shape, dtypes[name], sharding=partitioner.rows(shape)) for name, shape in shapes.items()},
    )
