"""A Llama 3.1 of 1.0 million parameters, its slow rotations slowed down, on Python's own documentation.

    jaxlm train nano/llama3

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 4.4.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import llama3
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = llama3(num_layers=4, embed_dim=128, num_heads=4, num_kv_heads=2, mlp_dim=352, unroll=True)
    return replace(jaxlm.recipe("nano/llama", text=text), model=model)
