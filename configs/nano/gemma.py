"""A Gemma 2 of 0.9 million parameters, every second layer of which sees 32 tokens back, on Python's own documentation.

    jaxlm train nano/gemma

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 4.1.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import gemma
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = gemma(num_layers=4, embed_dim=128, num_heads=4, num_kv_heads=2, mlp_dim=352, window=32, unroll=True)
    return replace(jaxlm.recipe("nano/llama", text=text), model=model)
