"""The `modern` family, what small runs learn most with, in 1.0 million parameters on Python's own documentation; by Muon.

    jaxlm train nano/modern

Two CPU cores, 30 to 60 s, held-out text included. Expect an eval/loss of about 3.7.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import modern
from jaxlm.optim import Muon
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(
        jaxlm.recipe("nano/llama", text=text),
        model=modern(num_layers=4, embed_dim=128, num_heads=2, unroll=True),
        optimizer=Muon(learning_rate=0.02, warmup_steps=20),
    )
