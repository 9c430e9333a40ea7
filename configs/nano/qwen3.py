"""A Qwen3 of 1.1 million parameters, its heads together twice as wide as the model, on Python's own documentation.

    jaxlm train nano/qwen3

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 4.2.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import qwen3
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = qwen3(num_layers=4, embed_dim=128, num_heads=4, num_kv_heads=2, head_dim=64, mlp_dim=352, unroll=True)
    return replace(jaxlm.recipe("nano/llama", text=text), model=model)
