"""Which tokens of a row are hidden: single ones (BERT), whole words, spans of words (SpanBERT)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from jaxlm.core import ConfigError, Vocab
from jaxlm.objectives.base import Share

DRAWS = 4
"""Spans of a row whose lengths are counted."""


class Row(NamedTuple):
    """What a choice is made from; masks are bool [L]."""

    ids_L: np.ndarray
    segments_L: np.ndarray
    maskable_L: np.ndarray
    vocab: Vocab

    def words(self) -> list[np.ndarray]:
        """The places of each word's tokens: maskable ones that follow each other in a document, by the tokenizer's marks and the
        white space of its pieces. White space goes with the word that follows. The first of a row may be the end of a word."""
        assert self.vocab.starts_word_V is not None, "`check` refuses tokenizers that mark no words"
        places = np.flatnonzero(self.maskable_L)
        starts = self.vocab.starts_word_V[self.ids_L[places]]
        if self.vocab.spacing_V2 is not None:
            start, end = self.vocab.spacing_V2[self.ids_L[np.maximum(places - 1, 0)]].T
            starts = starts & (start >= 0) | (end > 0)
        starts |= ~self.follows(places)
        return np.split(places, np.flatnonzero(starts)[1:]) if places.size else []

    def follows(self, places: np.ndarray) -> np.ndarray:
        """Whether the place before each is maskable and of the same document."""
        before = np.maximum(places - 1, 0)
        return (places > 0) & self.maskable_L[before] & (self.segments_L[places] == self.segments_L[before])


class Masking:
    """A way to choose the tokens to hide. Extend it with a frozen dataclass."""

    def check(self, vocab: Vocab) -> None:
        """Raises ConfigError where the tokenizer lacks what it needs."""

    def choose(self, row: Row, count: int, rng: np.random.Generator) -> np.ndarray:
        """[L], int32: 0 for tokens that are not chosen, else the number, from 1, of their group: a group shares its fate, to
        become [MASK], random or neither. At most `count` tokens are chosen, maskable ones alone."""
        raise NotImplementedError(f"{type(self).__name__} must define choose()")

    def shares(self, row: Row, chosen_L: np.ndarray) -> Iterator[Share]:
        """What `choose` promises, counted where it chose these (bool)."""
        raise NotImplementedError(f"{type(self).__name__} must define shares()")


@dataclass(frozen=True)
class Tokens(Masking):
    """Single tokens, each as likely (BERT, arXiv:1810.04805; RoBERTa)."""

    def choose(self, row: Row, count: int, rng: np.random.Generator) -> np.ndarray:
        return _number_each(rng.permutation(np.flatnonzero(row.maskable_L))[:count], len(row.ids_L))

    def shares(self, row: Row, chosen_L: np.ndarray) -> Iterator[Share]:
        places = np.flatnonzero(row.maskable_L)
        if places.size % 2 == 0:
            hits, trials = int(chosen_L[places[: places.size // 2]].sum()), int(chosen_L.sum())
            yield Share("of the chosen, in a row's first half", 0.5, hits, trials)


@dataclass(frozen=True)
class WholeWords(Masking):
    """All tokens of a word or none (BERT's release of May 2019). A word that would be one too many is passed over."""

    def check(self, vocab: Vocab) -> None:
        _require_words(vocab, "objective.masking=WholeWords()")

    def choose(self, row: Row, count: int, rng: np.random.Generator) -> np.ndarray:
        words = row.words()
        taken: list[np.ndarray] = []
        for w in rng.permutation(len(words)).tolist():
            if len(words[w]) <= count:
                taken.append(words[w])
                count -= len(words[w])
        return _number_each(np.concatenate(taken) if taken else np.zeros(0, np.int64), len(row.ids_L))

    def shares(self, row: Row, chosen_L: np.ndarray) -> Iterator[Share]:
        touched = [chosen_L[word].mean() for word in row.words() if chosen_L[word].any()]
        yield Share("of the words touched, hidden whole", 1.0, sum(share == 1 for share in touched), len(touched))


@dataclass(frozen=True)
class Spans(Masking):
    """Spans of words that share their fate (SpanBERT, arXiv:1907.10529, section 3.1).

    A span has n words with a probability that falls as a geometric series, up to `longest`; it begins at a word drawn
    from those that are left, and is cut where it meets another, the end of its document or of the row's count.
    """

    mean: float = 3.8
    """Words of a span before it is cut, on average; 3.8 is SpanBERT's series of 0.8."""
    longest: int = 10
    """Words of the longest span."""

    def __post_init__(self) -> None:
        if self.longest < 1 or not 1 <= self.mean <= (1 + self.longest) / 2:
            raise ConfigError(
                f"objective.masking.mean={self.mean} must be between 1 and {(1 + max(self.longest, 1)) / 2:g}, the mean of lengths "
                f"up to objective.masking.longest={self.longest} that are all as likely; SpanBERT has 3.8 and 10"
            )

    def check(self, vocab: Vocab) -> None:
        _require_words(vocab, "objective.masking=Spans()")

    def lengths(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """Words of some spans, before they are cut."""
        return 1 + rng.choice(self.longest, size=number, p=geometric(self.mean, self.longest))

    def choose(self, row: Row, count: int, rng: np.random.Generator) -> np.ndarray:
        words = row.words()
        follows_W = row.follows(np.array([word[0] for word in words], np.int64))
        group_L = np.zeros(len(row.ids_L), np.int32)
        starts = rng.permutation(len(words)).tolist()  # those taken meanwhile are passed over: draws from what is left
        for number, (start, length) in enumerate(zip(starts, self.lengths(rng, len(words)).tolist(), strict=True), start=1):
            for w in range(start, min(start + length, len(words))):
                cut = (w > start and not follows_W[w]) or group_L[words[w]].any() or len(words[w]) > count
                if cut:
                    break
                group_L[words[w]] = number
                count -= len(words[w])
        return group_L

    def shares(self, row: Row, chosen_L: np.ndarray) -> Iterator[Share]:
        yield from WholeWords().shares(row, chosen_L)
        yield from self._lengths_drawn(row)

    def _lengths_drawn(self, row: Row) -> Iterator[Share]:
        """Of first spans, which nothing cuts where their document goes on for long enough and all of it may be hidden."""
        words = row.words()
        follows_W = row.follows(np.array([word[0] for word in words], np.int64))
        for draw in range(DRAWS):
            group_L = self.choose(row, len(row.ids_L), np.random.default_rng([draw, *row.ids_L.tolist()]))
            span = [w for w, word in enumerate(words) if (group_L[word] == 1).all()]
            if span and span[0] + self.longest <= len(words) and follows_W[span[0] + 1 : span[0] + self.longest].all():
                expected = geometric(self.mean, self.longest)
                yield Share("of the spans, one word long", expected[0], int(len(span) == 1), 1)
                yield Share("of the spans, longer than the mean", expected[int(self.mean) :].sum(), int(len(span) > self.mean), 1)


@lru_cache
def geometric(mean: float, longest: int) -> np.ndarray:
    """Probabilities of the lengths 1 to `longest`, proportional to r^(n - 1) with the r in [0, 1] that gives this mean."""
    lengths = np.arange(1, longest + 1)
    low, high = 0.0, 1.0
    for _ in range(60):  # halves the stretch that r is in
        middle = (low + high) / 2
        weights = middle ** (lengths - 1.0)
        low, high = (middle, high) if (lengths * weights).sum() < mean * weights.sum() else (low, middle)
    weights = high ** (lengths - 1.0)
    return weights / weights.sum()


def _number_each(chosen: np.ndarray, length: int) -> np.ndarray:
    """A group for each chosen place, in their order in the row."""
    group_L = np.zeros(length, np.int32)
    group_L[np.sort(chosen)] = np.arange(1, chosen.size + 1)
    return group_L


def _require_words(vocab: Vocab, key: str) -> None:
    if vocab.starts_word_V is None:
        raise ConfigError(
            f"{key} hides whole words and the tokenizer does not mark where words start; use Tokens(), or a tokenizer that does, "
            "such as SentencePiece"
        )
