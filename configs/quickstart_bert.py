"""A small BERT learns to fill gaps in Python's own documentation, in less than four minutes on any two cores.

    jaxlm train quickstart_bert
    jaxlm train quickstart_bert --text my-notes.txt        your own text instead: a file, folder or glob, from 100 KB

Masks 15 % of the tokens, as BERT does. Expect about a third of the hidden tokens of held-out documentation to be
guessed. With `--text`, vocabulary, layers and steps follow its size.

BERT, with pre-norm blocks so that it learns without a long warm-up, rotary positions and normalised queries and keys.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import DeduplicateParagraphs, PythonDocs, TextFiles
from jaxlm.corpus.size import text_bytes
from jaxlm.data.config import DataConfig
from jaxlm.models import modern
from jaxlm.objectives import MaskedLM
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.run.sizes import Sizes, sizes_for
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig

FULL = Sizes(vocab_size=2000, layers=4, steps=2400, validation_fraction=0.04)


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob, from 100 KB.
    """
    sizes = sizes_for(text_bytes(text, at_least=100_000), FULL) if text else FULL
    return RunConfig(
        model=modern(num_layers=sizes.layers, embed_dim=128, causal=False, activation="gelu", output_bias=True, unroll=True),
        objective=MaskedLM(),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        tokenizer=SentencePiece(vocab_size=sizes.vocab_size, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(text) if text else PythonDocs(),),
            steps=(DeduplicateParagraphs(),),
            validation_fraction=sizes.validation_fraction,
            seq_len=128,
        ),
        train=TrainConfig(steps=sizes.steps, minutes=3.75, batch_size=16),
        checkpoint=CheckpointConfig(every=500),
        log=LogConfig(samples=5),
    )
