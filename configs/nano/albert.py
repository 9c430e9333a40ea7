"""An ALBERT of 0.3 million parameters, its four layers one and the same, on Python's own documentation; pre-norm, so that it
learns without a long warm-up.

    jaxlm train nano/albert

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 5.5.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import albert
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    model = albert(num_layers=4, embed_dim=128, num_heads=4, table_dim=64, context=128, norm_place="pre", unroll=True)
    model = replace(model, embed=replace(model.embed, stddev=None))  # 0.02 is for wider models, and learns slowly here
    return replace(jaxlm.recipe("nano/bert", text=text), model=model)
