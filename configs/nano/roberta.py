"""A RoBERTa of 1.0 million parameters on Python's own documentation; pre-norm, so that it learns without a long warm-up.

    jaxlm train nano/roberta

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 5.8.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import roberta
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = roberta(num_layers=4, embed_dim=128, num_heads=4, context=128, dropout=0.0, norm_place="pre", unroll=True)
    return replace(jaxlm.recipe("nano/bert", text=text), model=model)
