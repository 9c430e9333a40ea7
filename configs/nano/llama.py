"""A Llama of 1.0 million parameters, two key/value heads for four heads, on Python's own documentation.

    jaxlm train nano/llama

Two CPU cores, 30 to 60 s, held-out text included. Expect an eval/loss of about 4.4.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import DeduplicateParagraphs, PythonDocs, TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import llama
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return RunConfig(
        model=llama(num_layers=4, embed_dim=128, num_heads=4, num_kv_heads=2, mlp_dim=352, unroll=True),
        objective=CausalLM(),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=50),
        tokenizer=SentencePiece(vocab_size=1000, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(text) if text else PythonDocs(),),
            steps=(DeduplicateParagraphs(),),
            validation_fraction=0.02,
            seq_len=128,
        ),
        train=TrainConfig(steps=250, batch_size=16),
        checkpoint=CheckpointConfig(every=None, every_seconds=5),
        log=LogConfig(every=1),
    )
