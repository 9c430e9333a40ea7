"""nanoGPT's Shakespeare on characters, with its CPU settings (README of karpathy/nanoGPT, "I only have a macbook") but for the
learning rate, which is twice its own.

    jaxlm train shakespeare_char_cpu --text PATH/input.txt

`--text` is the tiny Shakespeare file (1,115,394 characters), plain or compressed; its last tenth is held out. Two CPU
cores, 1 to 2 minutes. Expect an eval/loss of 1.80 to 1.82 over the whole held-out part. With nanoGPT's rate
(`--optimizer.learning-rate 1e-3`) it is 1.89 to 1.91, and nanoGPT's own code reaches 1.90.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Characters
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path) -> RunConfig:
    """Args:
    text: The file with Shakespeare's works, plain or compressed.
    """
    return RunConfig(
        model=gpt2(num_layers=4, embed_dim=128, num_heads=4, context=64, bias=False, unroll=True),
        objective=CausalLM(),
        optimizer=AdamW(learning_rate=2e-3, warmup_steps=100, weight_decay=0.1, b2=0.99),
        tokenizer=Characters(),
        data=DataConfig(sources=(TextFiles(text),), split="tail", validation_fraction=0.1, seq_len=64),
        train=TrainConfig(steps=2000, batch_size=12, eval_every=500),
        checkpoint=CheckpointConfig(every=1000),
        log=LogConfig(samples=1),
    )
