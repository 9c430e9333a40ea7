"""Llama 2 of 7 billion parameters (arXiv:2307.09288) on 256 TPU v5e chips, with the numbers of the paper.

    jaxlm train pods/llama2_7b_v5e_256 --dry-run --topology v5e:16x16
    jaxlm train pods/llama2_7b_v5e_256 --text TEXT --tokenizer tokenizer.json --run-dir gs://BUCKET/runs/llama2-7b

Parameters and optimizer state are cut over all chips (ZeRO-3), four rows a chip. Not trained here: the first line says what it
needs and sends (docs/scaling.md has its figures).
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import JsonLines
from jaxlm.data.config import DataConfig
from jaxlm.models import llama
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import TokenizersFile
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path = Path("text"), tokenizer: Path = Path("tokenizer.json")) -> RunConfig:
    """Args:
    text: A folder of .jsonl files whose objects have a "text".
    tokenizer: The release's tokenizer.json.
    """
    return RunConfig(
        model=llama("7b", vocab_size=32_000, dtype="bfloat16", remat="full"),
        objective=CausalLM(),
        optimizer=AdamW(learning_rate=3e-4, warmup_steps=2000, weight_decay=0.1, epsilon=1e-5),
        tokenizer=TokenizersFile(tokenizer),
        data=DataConfig(sources=(JsonLines(text),), split="hash", validation_fraction=0.0005, seq_len=4096, num_workers=8),
        train=TrainConfig(steps=480_000, batch_size=1024, eval_every=5000, eval_batches=20),
        mesh=MeshConfig(data=1, fsdp=-1),
        checkpoint=CheckpointConfig(every=1000, keep=3),
        log=LogConfig(every=10),
    )
