"""The BERT of `nano/bert`, with whole words hidden (BERT's release of May 2019), or spans of words (SpanBERT).

    jaxlm train nano/whole_words
    jaxlm train nano/whole_words --spans

Two CPU cores, 30 to 60 s, held-out text included. Expect an eval/loss of about 5.8 (5.7 with spans).
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.objectives import MaskedLM, Spans, WholeWords
from jaxlm.run.config import RunConfig


def config(*, spans: bool = False, text: Path | None = None) -> RunConfig:
    """Args:
    spans: Hide spans of words that share their fate.
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(jaxlm.recipe("nano/bert", text=text), objective=MaskedLM(masking=Spans() if spans else WholeWords()))
