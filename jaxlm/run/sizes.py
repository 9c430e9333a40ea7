"""Vocabulary, model and steps for a text of any size: the quickstarts' `--text`."""

from dataclasses import dataclass

FULL_BYTES = 2_400_000
"""Text of this size or more gets a recipe's own numbers."""


@dataclass(frozen=True)
class Sizes:
    """What follows the size of the text."""

    vocab_size: int
    layers: int
    steps: int
    validation_fraction: float


def sizes_for(num_bytes: int, full: Sizes) -> Sizes:
    """`full`, scaled down for less text: vocabulary and steps by the root of its share, half the layers under 600 KB.

    A tenth of a small text is held out, so that there is enough of it to measure by; steps fall slower than text, so
    small texts are seen more often.
    """
    root = min(1.0, num_bytes / FULL_BYTES) ** 0.5
    if root == 1.0:
        return full
    return Sizes(
        vocab_size=max(400, round(full.vocab_size * root / 100) * 100),
        layers=full.layers if num_bytes >= 600_000 else max(1, full.layers // 2),
        steps=max(200, round(full.steps * root / 50) * 50),
        validation_fraction=max(full.validation_fraction, 0.1),
    )
