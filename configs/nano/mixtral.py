"""A Mixtral of 1.5 million parameters, of which a token takes 1.0 million (two of the four experts of a layer), on Python's own
documentation.

    jaxlm train nano/mixtral

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 4.6.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import mixtral
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = mixtral(num_layers=4, embed_dim=128, num_heads=4, num_kv_heads=2, mlp_dim=176, num_experts=4, unroll=True)
    return replace(jaxlm.recipe("nano/llama", text=text), model=model)
