"""A masked model of 3.6 million parameters on ten novels and WikiText-2, mixed by weights.

    jaxlm train books_bert --data DIR

DIR holds `gutenberg/*.txt.gz` and `wikitext-2/*.txt.gz`. Two CPU cores, under 10 minutes.

With rotary positions and normalised queries and keys: BERT's own skeleton, pre-norm, with AdamW at 2e-3, stays at the
entropy of single words for all of the 1,700 steps (docs/log.md).
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import Transformer
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, Stack, VocabHead
from jaxlm.objectives import MaskedLM
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


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


def config(*, data: Path) -> RunConfig:
    return RunConfig(
        model=model(width=192, layers=4),
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
