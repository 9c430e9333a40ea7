"""A discriminator of 0.5 million parameters beside a generator of half its width, on Python's own documentation.

    jaxlm train nano/electra

Two CPU cores, about a minute, held-out text included. Expect an eval/discriminator_nll of about 0.40, where who knows only how
many tokens were replaced pays 0.416, and an eval/generator_nll of about 5.5 (single words: 5.78).

With rotary positions and normalised queries and keys: ELECTRA's own skeleton, `electra`, pre-norm, was still at the base
rate after 250 steps (docs/log.md).
"""

from dataclasses import replace
from pathlib import Path

import jaxlm
from jaxlm.models import Pair, modern
from jaxlm.models.layers import TokenScore
from jaxlm.objectives import ReplacedTokenDetection
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.train.config import TrainConfig


def config(*, text: Path | None = None) -> RunConfig:
    """Args:
    text: Learn this text of your own instead: a file, folder or glob.
    """
    discriminator = modern(num_layers=2, embed_dim=128, causal=False, activation="gelu", unroll=True)
    generator = modern(num_layers=2, embed_dim=64, causal=False, activation="gelu", output_bias=True, unroll=True)
    return replace(
        jaxlm.recipe("nano/bert", text=text),
        model=Pair(
            generator=replace(generator, embed=discriminator.embed, width=64),
            discriminator=replace(discriminator, heads=(("replaced", TokenScore("gelu")),)),
        ),
        objective=ReplacedTokenDetection(),
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        train=TrainConfig(steps=500, batch_size=16),
    )
