"""A small GPT learns Python's own documentation, in less than four minutes on any two cores; nothing is downloaded.

    jaxlm train quickstart
    jaxlm train quickstart --text my-notes.txt        your own text instead: a file, folder or glob, from 100 KB

Two CPU cores, 3.75 minutes: all 3,200 steps on quick ones (AMD Zen 5), fewer on slow ones (`train.minutes`). Expect 1.44 to 1.5
bits per byte of held-out documentation after 3,000 steps and more. With `--text`, vocabulary, layers and steps follow its size.

Documentation is scarce and would be learnt by heart, so most rows are code of the same library, without its docstrings.

The model is GPT-2's skeleton with what has since been found to learn faster: rotary positions, normalised queries and
keys, smeared keys, RMSNorm without parameters, squared ReLU, zero-initialised outputs, a soft cap on the logits, and Muon.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import DeduplicateParagraphs, PythonDocs, PythonSources, TextFiles
from jaxlm.corpus.size import text_bytes
from jaxlm.data.config import DataConfig
from jaxlm.models import modern
from jaxlm.objectives import CausalLM
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.run.sizes import Sizes, sizes_for
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig

FULL = Sizes(vocab_size=2000, layers=4, steps=3200, validation_fraction=0.04)


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob, from 100 KB.
    """
    sizes = sizes_for(text_bytes(text, at_least=100_000), FULL) if text else FULL
    return RunConfig(
        model=modern(num_layers=sizes.layers, embed_dim=128, soft_cap=15.0, unroll=True),
        objective=CausalLM(),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        tokenizer=SentencePiece(vocab_size=sizes.vocab_size, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(text),) if text else (PythonDocs(), PythonSources()),
            weights=() if text else (0.4, 0.6),
            validation_sources=() if text else ("python-docs",),
            steps=(DeduplicateParagraphs(),),
            validation_fraction=sizes.validation_fraction,
            seq_len=128,
        ),
        train=TrainConfig(steps=sizes.steps, minutes=3.75, batch_size=16),
        checkpoint=CheckpointConfig(every=500),
        log=LogConfig(compressors=True, samples=3),
    )
