"""A T5 of 0.9 million parameters that writes what was cut out of Python's own documentation (arXiv:1910.10683).

    jaxlm train nano/t5

Two CPU cores, about a minute, held-out text included. Expect an eval/loss of about 5.0.
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import t5
from jaxlm.objectives import SpanCorruption
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    return replace(
        jaxlm.recipe("nano/llama", text=text),
        model=t5(num_layers=2, embed_dim=128, num_heads=4, mlp_dim=384, dropout=0.0, unroll=True),
        objective=SpanCorruption(),
        tokenizer=SentencePiece(vocab_size=1000, model_type="bpe", num_sentinels=16),
    )
