"""A small BERT learns to fill gaps in Python's own documentation, in four minutes on two CPU cores.

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
from jaxlm.models import Transformer
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, Stack, VocabHead
from jaxlm.objectives import MaskedLM
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.run.sizes import Sizes, sizes_for
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig

FULL = Sizes(vocab_size=2000, layers=4, steps=1500, validation_fraction=0.04)


def model(*, width: int, layers: int) -> Transformer:
    norm = RMSNorm(scale=False)
    both_ways = Attention(
        width // 64, causal=False, rotary_theta=10_000.0, query_key_norm=norm, bias=False, stddev=None, output_stddev=0
    )
    mlp = MLP(4 * width, "gelu", bias=False, stddev=None, output_stddev=0)
    return Transformer(
        embed=Embed(width, stddev=1.0, norm=norm),
        decoder=(Stack((Block(both_ways, mlp, norm),), repeats=layers),),
        norm=norm,
        heads=(("lm", VocabHead(tied=False, bias=True, stddev=0)),),
        unroll=True,
    )


def config(*, text: Path | None = None) -> RunConfig:
    sizes = sizes_for(text_bytes(text, at_least=100_000), FULL) if text else FULL
    return RunConfig(
        model=model(width=128, layers=sizes.layers),
        objective=MaskedLM(),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        tokenizer=SentencePiece(vocab_size=sizes.vocab_size, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(text) if text else PythonDocs(),),
            steps=(DeduplicateParagraphs(),),
            validation_fraction=sizes.validation_fraction,
            seq_len=128,
        ),
        train=TrainConfig(steps=sizes.steps, batch_size=16),
        checkpoint=CheckpointConfig(every=500),
        log=LogConfig(samples=5),
    )
