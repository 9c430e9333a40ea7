"""A small GPT learns Python's own documentation, in four minutes on two CPU cores; nothing is downloaded.

    jaxlm train quickstart
    jaxlm train quickstart --text my-notes.txt        your own text instead: a file, folder or glob, from 100 KB

Expect some 1.4 bits per byte of held-out documentation, where xz with all the training text as its dictionary needs 1.8.

The model is GPT-2's skeleton with what has since been found to learn faster: rotary positions, normalised queries and
keys, RMSNorm without parameters, squared ReLU, zero-initialised outputs, a soft cap on the logits, and Muon.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import DeduplicateParagraphs, PythonDocs, PythonSources, TextFiles
from jaxlm.data.config import DataConfig
from jaxlm.models import Transformer
from jaxlm.models.layers import MLP, Attention, Block, Embed, RMSNorm, Stack, VocabHead
from jaxlm.objectives import CausalLM
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import TrainConfig


def model(*, width: int, layers: int) -> Transformer:
    norm = RMSNorm(scale=False)
    block = Block(
        attention=Attention(
            num_heads=width // 64, rotary_theta=10_000.0, query_key_norm=norm, bias=False, stddev=None, output_stddev=0
        ),
        mlp=MLP(4 * width, "relu_squared", bias=False, stddev=None, output_stddev=0),
        norm=norm,
    )
    return Transformer(
        embed=Embed(width, stddev=1.0, norm=norm),
        decoder=(Stack((block,), repeats=layers),),
        norm=norm,
        heads=(("lm", VocabHead(tied=False, soft_cap=15.0, stddev=0)),),
        unroll=True,
    )


def config(*, text: Path | None = None, mix: float = 0.0, width: int = 128, layers: int = 4, vocab: int = 2000) -> RunConfig:
    sources = (PythonDocs(), PythonSources()) if mix else (PythonDocs(),)
    return RunConfig(
        model=model(width=width, layers=layers),
        objective=CausalLM(),
        optimizer=Muon(learning_rate=0.03, adam_learning_rate=0.01, schedule=WSD(decay=0.6), weight_decay=0.0, clip_norm=1.0),
        tokenizer=SentencePiece(vocab_size=vocab, model_type="bpe"),
        data=DataConfig(
            sources=(TextFiles(text),) if text else sources,
            weights=(1 - mix, mix) if mix else (),
            steps=(DeduplicateParagraphs(),),
            validation_fraction=0.04,
            validation_sources=() if text else ("python-docs",),
            seq_len=128,
        ),
        train=TrainConfig(steps=3000, batch_size=16),
        checkpoint=CheckpointConfig(every=500),
    )
