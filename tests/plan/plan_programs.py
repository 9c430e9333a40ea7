"""Programs that the tests of this folder look at: tiny rows on eight simulated devices."""

import tiny

from jaxlm.data.config import DataConfig
from jaxlm.objectives import CausalLM, Objective
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.config import RunConfig
from jaxlm.run.program import program_of
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import TrainConfig
from jaxlm.train.program import Program


def program(
    model, mesh: MeshConfig, batch_size: int = 16, num_microbatches: int = 1, objective: Objective | None = None, devices=None
) -> Program:
    config = RunConfig(
        model=model,
        objective=objective or CausalLM(),
        optimizer=AdamW(steps=1),
        tokenizer=Bytes(num_sentinels=3),
        data=DataConfig(sources=(), seq_len=tiny.SEQ_LEN),
        train=TrainConfig(batch_size=batch_size, num_microbatches=num_microbatches),
        mesh=mesh,
    )
    return program_of(config, tiny.vocab(), devices)
