"""An encoder-decoder of 1.1 million parameters, of the 2017 family, says what Python's functions are for: signature to summary.

    jaxlm train nano/seq2seq
    jaxlm generate runs/nano-seq2seq --prompt "json.load(fp)" --num-beams 4

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 3.7.
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import ConfigError
from jaxlm.corpus import ParallelLines, PythonSignatures
from jaxlm.data.config import DataConfig
from jaxlm.models import transformer_2017
from jaxlm.objectives import Seq2Seq
from jaxlm.optim import AdamW
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path | None = None, source: str = "en", target: str = "de") -> RunConfig:
    """Args:
    text: Learn pairs of your own instead, line i of TEXT.en and line i of TEXT.de (plain, .gz or .bz2).
    source: What the name of the file ends with that is read, where there is text of your own.
    target: What the name of the file ends with that is to be written.
    """
    if text is None and (source, target) != ("en", "de"):
        raise ConfigError(f"source={source}, target={target}: they name files of your own; give --text too")
    streams = ("signature", "summary") if text is None else (source, target)
    return RunConfig(
        model=transformer_2017(num_layers=2, embed_dim=128, num_heads=4, norm_place="pre", unroll=True),
        objective=Seq2Seq(source=streams[0], target=streams[1]),
        optimizer=AdamW(learning_rate=2e-3, warmup_steps=50),
        tokenizer=SentencePiece(vocab_size=1000, model_type="bpe"),
        data=DataConfig(
            sources=(ParallelLines(text, fields=streams) if text else PythonSignatures(),),
            packing="best_fit",
            validation_fraction=0.05,
            seq_len=128,
        ),
        train=TrainConfig(steps=250, batch_size=16),
        checkpoint=CheckpointConfig(every=None, every_seconds=5),
        log=LogConfig(every=1),
    )
