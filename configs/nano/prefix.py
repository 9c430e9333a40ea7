"""The Llama of `nano/llama`, which reads the beginning of a text both ways and writes its rest (arXiv:2204.05832).

    jaxlm train nano/prefix

Two CPU cores, 30 to 60 s, held-out text included. Expect an eval/loss of about 4.6.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.objectives import PrefixLM
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(jaxlm.recipe("nano/llama", text=text), objective=PrefixLM())
