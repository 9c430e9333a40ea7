"""Hidden words, and which of two texts came first (ALBERT's objective), on Python's own documentation; 1.0 million parameters.

    jaxlm train nano/sentence_order

Two CPU cores, one to two minutes, held-out text included. Expect an eval/loss of about 6.3 and an eval/pair_accuracy of 0.63.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.objectives import SentenceOrder
from jaxlm.run.config import RunConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(jaxlm.recipe("nano/next_sentence", text=text), objective=SentenceOrder())
