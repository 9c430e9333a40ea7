"""Hidden words, and which of two texts came first (ALBERT's objective), on Python's own documentation; 0.9 million parameters.

    jaxlm train nano/sentence_order

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 6.3 and an eval/pair_accuracy of 0.62.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import modern
from jaxlm.models.layers import Pooler
from jaxlm.objectives import SentenceOrder
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(
        jaxlm.recipe("nano/next_sentence", text=text),
        model=modern(
            num_layers=2,
            embed_dim=128,
            causal=False,
            activation="gelu",
            output_bias=True,
            pairs=True,
            pooler=Pooler(stddev=None),
            unroll=True,
        ),
        objective=SentenceOrder(),
    )
