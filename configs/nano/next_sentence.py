"""Hidden words, and whether a text goes on where another ends (BERT), on Python's own documentation; 1.0 million parameters.

    jaxlm train nano/next_sentence

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 6.3, the tokens' 5.67 and the pairs'
0.66, and an eval/pair_accuracy of 0.60.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import PythonDocs, Sections, TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import modern
from jaxlm.objectives import NextSentence
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return RunConfig(
        model=modern(num_layers=2, embed_dim=128, causal=False, activation="gelu", output_bias=True, pairs=True, unroll=True),
        objective=NextSentence(),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        tokenizer=SentencePiece(vocab_size=2000, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(text) if text else PythonDocs(),),
            steps=(Sections(),),
            validation_fraction=0.05,
            packing="documents",
            seq_len=128,
        ),
        train=TrainConfig(steps=200, batch_size=32),
        checkpoint=CheckpointConfig(every=None, every_seconds=5),
        log=LogConfig(every=1),
    )
