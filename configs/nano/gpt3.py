"""A GPT-3 of 0.9 million parameters, every second layer of which sees 32 tokens back, on Python's own documentation.

    jaxlm train nano/gpt3

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 4.5.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import gpt3
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = gpt3(num_layers=4, embed_dim=128, num_heads=4, context=128, band=32, unroll=True)
    return replace(jaxlm.recipe("nano/gpt2", text=text), model=model)
