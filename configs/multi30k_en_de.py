"""A transformer of the 2017 family learns to translate English captions of pictures into German (Multi30k, arXiv:1605.00459).

    jaxlm train multi30k_en_de --text DIR
    python benchmarks/multi30k.py runs/multi30k_en_de DIR

DIR holds the lines of task 1, `train.en.gz` and `train.de.gz` (29,000 pairs), and for the second command
`test_2016_flickr.en.gz` and `test_2016_flickr.de.gz`.

Norms stand behind each block, as in 2017, which takes a short warm-up. Five minutes on one CPU core, and two to translate the
test set. Expect a BLEU of about 28 (13a; case counts).
"""

from pathlib import Path

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.corpus import ParallelLines
from jaxlm.data.config import DataConfig
from jaxlm.models import transformer_2017
from jaxlm.objectives import Seq2Seq
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import LogConfig, TrainConfig


def config(*, text: Path) -> RunConfig:
    """Args:
    text: The folder of the lines.
    """
    return RunConfig(
        model=transformer_2017(num_layers=2, embed_dim=128, num_heads=4, unroll=True),
        objective=Seq2Seq(source="en", target="de", label_smoothing=0.1),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0, warmup_steps=100),
        tokenizer=SentencePiece(vocab_size=4000, model_type="bpe"),
        data=DataConfig(
            sources=(ParallelLines(text / "train", fields=("en", "de")),),
            packing="best_fit",
            validation_fraction=0.02,
            seq_len=128,
        ),
        train=TrainConfig(steps=700, batch_size=16),
        checkpoint=CheckpointConfig(every=500),
        log=LogConfig(samples=3),
    )
