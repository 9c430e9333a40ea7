"""Span corruption: replace stretches of a text by sentinels, and write what they stood for (T5, arXiv:1910.10683, 3.1.4)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from jaxlm.core import ConfigError, Example, Vocab, Window
from jaxlm.core.vocab import Gaps
from jaxlm.objectives.base import Share
from jaxlm.objectives.causal import CausalLM
from jaxlm.objectives.seq2seq import row_of

MODES = ("R", "S", "X")
"""UL2's ways to denoise: regular, sequential, extreme; the tokenizer's last three sentinels stand for them."""

MOST = 0.95
"""Of the tokens may be hidden: then a row takes twenty times its own length of the text."""


@dataclass(frozen=True)
class SpanCorruption(CausalLM):
    """The encoder reads `kept <0> kept <1> eos`, the decoder writes `<0> hidden <1> hidden eos`.

    Of a document's m tokens in the row round(corrupt_rate * m) are hidden, in round(hidden / mean_span) spans; hidden and kept
    tokens are each cut into as many parts, all ways to cut them alike, and take turns, the first being kept: the released
    code's draw, by which `seq_len` 512 takes 568 tokens of text to write 114. bos and eos of the store are left out. A row of
    several documents has an end for each; what then has no room is left out at its end.
    """

    corrupt_rate: float = 0.15
    """Share of the tokens that are hidden; on average where the hidden ones are the end."""
    mean_span: float | None = 3.0
    """Tokens of a hidden span; None: there is one, the end, of 1 to 2 * corrupt_rate * m tokens (UL2's S, arXiv:2205.05131)."""
    mode: Literal["R", "S", "X"] | None = None
    """The encoder's first token tells the way to denoise (UL2, section 3.1.2): R, S or X. None: there is no such token."""
    target_length: int | None = None
    """Tokens of the decoder's rows; None: as many as the hidden ones of a row of a single document need."""

    overlap = 0
    encoder = True
    bits_name = None  # type: ignore[assignment]  # what is kept is given away

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 < self.corrupt_rate <= MOST and (self.mean_span is None or 1 <= self.mean_span < math.inf)):
            raise ConfigError(
                f"objective.corrupt_rate={self.corrupt_rate} must be above 0 and at most {MOST} (T5 has 0.15) and "
                f"objective.mean_span={self.mean_span} at least 1 (T5 has 3), or None"
            )
        if self.target_length is not None and self.target_length < 4:
            raise ConfigError(f"objective.target_length={self.target_length} must be at least 4; leave it out for what is needed")

    def least_length(self) -> int:
        return self._sizes(2)[0]

    def num_sentinels(self, seq_len: int) -> int:
        return self._counts(self.raw_length(seq_len))[1] + (len(MODES) if self.mode else 0)

    def gaps(self, vocab: Vocab) -> Gaps | None:
        """By sentinels, after its mode; None where it hides the end alone."""
        if self.mean_span is None:
            return None
        return Gaps(tuple(self._mode_ids(vocab)), vocab.sentinels[: -len(MODES)] if self.mode else vocab.sentinels)

    def _mode_ids(self, vocab: Vocab) -> list[int]:
        return [] if self.mode is None else [vocab.sentinels[MODES.index(self.mode) - len(MODES)]]

    def raw_length(self, seq_len: int) -> int:
        return _most(self, seq_len)

    def row_length(self, seq_len: int) -> int:
        return self.target_length or self._sizes(self.raw_length(seq_len))[1]

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        room, room_of_targets = seq_len, self.row_length(seq_len)
        sources, targets = [], []
        for ids_N in windows[0].documents():
            text_N = ids_N[(ids_N != vocab.bos) & (ids_N != vocab.eos)]
            fitting = (m for m in range(len(text_N), 1, -1) if self._fits(m, room, room_of_targets))
            if (length := next(fitting, None)) is None:
                continue
            source, target = self._corrupted(text_N[:length], rng, vocab)
            sources.append(source)
            targets.append(target)
            room, room_of_targets = room - len(source), room_of_targets - len(target)
        given = [np.concatenate([[vocab.bos], target[:-1]]) for target in targets]
        length = self.row_length(seq_len)
        return row_of(Window.of(given, length), Window.of(targets, length), Window.of(sources, seq_len))

    def _corrupted(self, text_N: np.ndarray, rng: np.random.Generator, vocab: Vocab) -> tuple[np.ndarray, np.ndarray]:
        """What the encoder reads and what the decoder writes of one document."""
        hidden, num_spans = self._counts(len(text_N))
        if self.mean_span is None:
            hidden = int(rng.integers(1, hidden + 1))
        parts = [_cut(total, num_spans, rng) for total in (len(text_N) - hidden, hidden)]
        stretches = np.split(text_N, np.cumsum(np.stack(parts, 1).ravel())[:-1])
        marks = [[id] for id in vocab.sentinels[:num_spans]]
        kept = [piece for pair in zip(stretches[::2], marks, strict=True) for piece in pair]
        written = [piece for pair in zip(marks, stretches[1::2], strict=True) for piece in pair]
        return np.concatenate([self._mode_ids(vocab), *kept, [vocab.eos]]), np.concatenate([*written, [vocab.eos]])

    def _counts(self, length: int) -> tuple[int, int]:
        """How many tokens of a text of `length` are hidden, at most where they are its end, and in how many spans."""
        hidden = min(max(round(self.corrupt_rate * length * (2 if self.mean_span is None else 1)), 1), length - 1)
        return hidden, 1 if self.mean_span is None else min(max(round(hidden / self.mean_span), 1), hidden, length - hidden)

    def _sizes(self, length: int) -> tuple[int, int]:
        """The most tokens that encoder and decoder need for a text of `length`."""
        hidden, num_spans = self._counts(length)
        kept = length - (1 if self.mean_span is None else hidden)
        return kept + num_spans + 1 + (self.mode is not None), hidden + num_spans + 1

    def _fits(self, length: int, room: int, room_of_targets: int | None) -> bool:
        needed, written = self._sizes(length)
        return needed <= room and (room_of_targets is None or written <= room_of_targets)

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        """Of the row's first document; how much is to be hidden is worked out anew, so that `_counts` is held to it too."""
        first_L = example["targets"][example["segments"] == 1]
        if not len(first_L):
            return
        read_L = example["encoder_tokens"][example["encoder_segments"] == 1][len(self._mode_ids(vocab)) :]
        marks, gaps = (ids_L[vocab.special_V[ids_L]][:-1].tolist() for ids_L in (first_L, read_L))
        hidden, kept = len(first_L) - len(marks) - 1, len(read_L) - len(gaps) - 1
        in_order = marks == gaps == list(vocab.sentinels[: len(marks)])
        yield Share("of the documents, with sentinels in their order on both sides", 1.0, int(in_order), 1)
        if self.mean_span is None:
            longest = min(max(round(2 * self.corrupt_rate * (hidden + kept)), 1), hidden + kept - 1)
            if longest > 1:
                half = longest // 2 / longest
                yield Share("hidden end of at most half the tokens it may have", half, int(2 * hidden <= longest), 1)
        else:
            wanted = max(round(self.corrupt_rate * (hidden + kept)), 1)
            yield Share("of the tokens, hidden", wanted / (hidden + kept), hidden, hidden + kept)
            yield Share(
                "of the hidden tokens, first of a span", max(round(wanted / self.mean_span), 1) / wanted, len(marks), hidden
            )
            lengths = np.diff(np.flatnonzero(vocab.special_V[first_L]))
            if len(lengths) and lengths[0] != lengths[-1]:
                yield Share("of unlike first and last spans, the first longer", 0.5, int(lengths[0] > lengths[-1]), 1)


@cache  # asked for with each row
def _most(objective: SpanCorruption, seq_len: int) -> int:
    """The longest text that `seq_len` tokens of the encoder hold."""
    length = 2
    while objective._fits(length + 1, seq_len, objective.target_length):
        length += 1
    return length


def _cut(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """The lengths of `parts` parts, each at least 1, that make `total`; all ways to cut it alike."""
    if parts == 1:
        return np.array([total])
    cuts = 1 + np.sort(rng.choice(total - 1, parts - 1, replace=False))
    return np.diff(cuts, prepend=0, append=total)
