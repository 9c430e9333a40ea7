"""A T5 1.1 of 1.0 million parameters that learns from UL2's mixture of seven denoisers (arXiv:2205.05131).

    jaxlm train nano/ul2

Two CPU cores, about a minute, held-out text included. Expect an eval/loss of about 5.0.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import t5_v1_1
from jaxlm.objectives import mixture_of_denoisers
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(
        jaxlm.recipe("nano/llama", text=text),
        model=t5_v1_1(num_layers=2, embed_dim=128, num_heads=4, mlp_dim=256, dropout=0.0, unroll=True),
        objective=mixture_of_denoisers(target_length=128),
        tokenizer=SentencePiece(vocab_size=1000, model_type="bpe", num_sentinels=40),
    )
