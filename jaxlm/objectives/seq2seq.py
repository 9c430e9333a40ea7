"""Sequence to sequence: sum_i -log P(y_i | y_1 .. y_{i-1}, x) over pairs of a source x and a target y (arXiv:1706.03762)."""

from dataclasses import dataclass

import numpy as np

from jaxlm.core import ConfigError, Example, Vocab, Window
from jaxlm.objectives.causal import CausalLM


@dataclass(frozen=True)
class Seq2Seq(CausalLM):
    """Predict each token of a target from those before it and from the whole of its source.

    Source and target are two streams of parallel text. The encoder is given sources with their bos and eos; the decoder is
    given targets from their bos to the token before eos, and asked for what follows each. A row holds several pairs: segment k
    of the decoder goes with segment k of the encoder, and sees no other. Pairs are never cut: one that is longer than a row on
    either side is left out, and the number of those is told.
    """

    source: str = "source"
    """Name of the stream that the encoder reads."""
    target: str = "target"
    """Name of the stream that the decoder writes."""

    overlap = 0
    encoder = True
    bits_name = "bits_per_target_byte"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source == self.target:
            raise ConfigError(
                f"objective.source and objective.target are both {self.source!r}; give the names of two streams of the text"
            )

    @property
    def streams(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.target, self.source

    def raw_length(self, seq_len: int) -> int:
        return seq_len

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        targets, source = windows[0].documents(), windows[0].others[self.source]
        given, asked = (Window.of([ids_N[part] for ids_N in targets], seq_len) for part in (slice(-1), slice(1, None)))
        return row_of(given, asked, source)


def row_of(given: Window, asked: Window, source: Window) -> Example:
    """A row of an encoder-decoder: what the decoder is given, what follows each token of it, and what the encoder reads."""
    return {
        "tokens": given.ids_N,
        "positions": given.positions_N,
        "segments": given.segments_N,
        "targets": asked.ids_N,
        "weights": (given.segments_N > 0).astype(np.float32),
        "encoder_tokens": source.ids_N,
        "encoder_positions": source.positions_N,
        "encoder_segments": source.segments_N,
    }
