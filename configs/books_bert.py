"""A masked model of 3.6 million parameters on ten novels and WikiText-2, mixed by weights.

    jaxlm train books_bert --data DIR

DIR holds `gutenberg/*.txt.gz` and `wikitext-2/*.txt.gz`. Two CPU cores, under 10 minutes.

With rotary positions and normalised queries and keys: BERT's own skeleton, pre-norm, with AdamW at 2e-3, was
still at the entropy of single words after 1,100 steps (docs/log.md).
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import modern
from jaxlm.objectives import MaskedLM
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, data: Path) -> RunConfig:
    return RunConfig(
        model=modern(num_layers=4, embed_dim=192, causal=False, activation="gelu", output_bias=True, unroll=True),
        objective=MaskedLM(),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
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
        log=LogConfig(samples=5),
    )
