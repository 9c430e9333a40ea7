"""A GPT of 3.6 million parameters on ten novels and WikiText-2, mixed by weights.

    jaxlm train books_gpt --data DIR

DIR holds `gutenberg/*.txt.gz` and `wikitext-2/*.txt.gz`. Two CPU cores, under 10 minutes.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import llama
from jaxlm.objectives import CausalLM
from jaxlm.optim import WSD, AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, data: Path) -> RunConfig:
    return RunConfig(
        model=llama(num_layers=4, embed_dim=192, num_heads=3, mlp_dim=512, unroll=True),
        objective=CausalLM(),
        optimizer=AdamW(learning_rate=3e-3, warmup_steps=100, schedule=WSD(decay=0.5), weight_decay=0.1),
        tokenizer=SentencePiece(vocab_size=4000, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(data / "gutenberg", label="books"), TextFiles(data / "wikitext-2", label="wikitext")),
            weights=(0.8, 0.2),
            split="tail",
            validation_fraction=0.03,
            seq_len=128,
        ),
        train=TrainConfig(steps=1700, batch_size=16),
        checkpoint=CheckpointConfig(every=500),
        log=LogConfig(compressors=True, samples=2),
    )
