"""BERT large (arXiv:1810.04805) on 16 TPU v5e chips: hidden words alone, rows of 512 tokens from the first step on.

    jaxlm train pods/bert_large_v5e_16 --dry-run --topology v5e:4x4
    jaxlm train pods/bert_large_v5e_16 --text TEXT --tokenizer vocab.txt --run-dir gs://BUCKET/runs/bert-large

Each chip has the whole model and 16 rows; the optimizer's state is cut over all of them (ZeRO-1). Not trained here: the first line
says what it needs and sends (docs/scaling.md has its figures).
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import JsonLines
from jaxlm.data.config import DataConfig
from jaxlm.models import bert
from jaxlm.objectives import MaskedLM
from jaxlm.optim import AdamW, Linear
from jaxlm.parallel.config import MeshConfig
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import TokenizersFile
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path = Path("text"), tokenizer: Path = Path("vocab.txt")) -> RunConfig:
    """Args:
    text: A folder of .jsonl files whose objects have a "text".
    tokenizer: The release's vocab.txt.
    """
    return RunConfig(
        model=bert("large", vocab_size=30_522, dtype="bfloat16", remat="dots"),
        objective=MaskedLM(),
        optimizer=AdamW(learning_rate=1e-4, warmup_steps=10_000, schedule=Linear(), weight_decay=0.01, b2=0.999, epsilon=1e-6),
        tokenizer=TokenizersFile(tokenizer),
        data=DataConfig(sources=(JsonLines(text),), split="hash", validation_fraction=0.001, seq_len=512, num_workers=8),
        train=TrainConfig(steps=1_000_000, batch_size=256, eval_every=10_000, eval_batches=50),
        mesh=MeshConfig(data=1, fsdp=-1, rules=(("embed", ()),), optimizer_rules=(("embed", ("fsdp",)),)),
        checkpoint=CheckpointConfig(every=5000, keep=3),
        log=LogConfig(every=50),
    )
