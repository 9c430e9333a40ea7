"""Sentence pairs beside masked words: does B go on where A ends (BERT), and which of the two came first (ALBERT).

Both make rows [CLS] A [SEP] B [SEP] of one segment, token types 0 and 1, and hide tokens of them as `MaskedLM` does:

    loss = mean over masked j of -log P(w_j | row)  +  mean over pairs of -log P(pair | row)

A row holds one pair: its score is read from a summary of the row, so that a second pair would need a summary of its own in every
model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlm.core import ConfigError, Example, Inputs, Sums, Vocab, Window
from jaxlm.core.errors import require_probability
from jaxlm.objectives.base import Array, Share
from jaxlm.objectives.masked import MaskedLM

ENDS = ((0, 0), (-1, 1))
"""Of a text's first and last id: its place, and which of `Vocab.spacing_V2` tells of that end."""
MARKS = 3
"""Tokens of a row that are [CLS] or [SEP]."""


class Pair(NamedTuple):
    """What a row is made of."""

    first_N: np.ndarray
    second_N: np.ndarray
    label: int
    """0: the second follows the first; 1: it does not."""
    weight: int
    """0: the text gave no pair, so `first_N` is all of it."""
    segment: int
    """The number of the first text's document in its window, which the row's only segment keeps."""


@dataclass(frozen=True)
class SentencePairs(MaskedLM):
    """What both objectives share. A row in whose text no sentence ends is masked all the same, and weighs nothing as a pair."""

    sentences: str = "en"
    """Language (ISO 639 code) by whose rules sentences are found; English's for a language that the library does not know."""

    heads = ("pairs",)
    ends = ("cls", "sep")
    num_token_types = 2

    def pair_of(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab) -> Pair:
        """The two texts of a row, from its windows."""
        raise NotImplementedError(f"{type(self).__name__} must define pair_of()")

    def check(self, vocab: Vocab, seq_len: int) -> None:
        super().check(vocab, seq_len)
        name = type(self).__name__
        missing = " and ".join(mark for mark, id in (("[CLS]", vocab.cls), ("[SEP]", vocab.sep)) if id is None)
        if missing:
            raise ConfigError(
                f"objective {name} needs a [CLS] and a [SEP] token and the tokenizer has no {missing}; use one that has"
            )

    def least_length(self) -> int:
        return MARKS + 2

    def raw_length(self, seq_len: int) -> int:
        return seq_len - MARKS

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        """Adds `token_types` [L], and `pair` and `pair_weights`, one number each: the label, 1 where the second text is not what
        follows the first, and whether it counts."""
        pair = self.pair_of(windows, rng, vocab)
        row = _row(pair, vocab, seq_len)
        types_L = np.arange(seq_len) >= len(pair.first_N) + 2
        return {
            **super().prepare((row,), rng, vocab, seq_len),
            "token_types": (types_L & (row.segments_N > 0)).astype(np.int32),
            "pair": np.array(pair.label, np.int32),
            "pair_weights": np.array(pair.weight, np.float32),
        }

    def weights(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        return {**super().weights(batch), "pairs": batch["pair_weights"].astype("float32").sum()}

    def loss(self, model: Any, params: Any, batch: Mapping[str, Array], rng: Any) -> Sums:
        out = model(params, Inputs.of(batch), rng=rng)
        tokens = self.token_sums(out, batch)
        logits_B2, labels_B = out.heads["pairs"], batch["pair"]
        nll_B = -jnp.take_along_axis(jax.nn.log_softmax(logits_B2), labels_B[:, None], axis=1)[:, 0]
        hit_B = logits_B2.argmax(-1) == labels_B
        weights_B = batch["pair_weights"]
        pairs = Sums.of(pairs=(nll_B, weights_B), metrics={"pair_nll": (nll_B, weights_B), "pair_accuracy": (hit_B, weights_B)})
        return Sums(*({**ours, **theirs} for ours, theirs in zip(tokens, pairs, strict=True)))


@dataclass(frozen=True)
class NextSentence(SentencePairs):
    """Masked words, and whether text B is the one that follows text A (BERT, arXiv:1810.04805, section 3.1).

    The longest document of a row's window is cut at one of its sentences, each as likely: A and B. With probability
    `random_rate` another document's text takes B's place, from the start of a sentence within it on, since the document's own B
    never begins one. Either ends at a length drawn from the
    upper half of those that both allow, short of where one of them ends by itself, so that neither lengths nor ends tell anything.
    """

    random_rate: float = 0.5
    """Share of the pairs whose second text is another document's."""

    num_windows = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_probability("objective", self, "random_rate")

    def pair_of(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab) -> Pair:
        ids_N, starts, _, segment = _text(windows[0], vocab)
        if not starts.size:
            return Pair(ids_N, ids_N[:0], 0, 0, segment)
        cut = int(starts[rng.integers(starts.size)])
        others_N, others_starts, _, _ = _text(windows[1], vocab)
        places = others_starts[others_starts < len(others_N) - 1]
        if not places.size or len(ids_N) - cut < 2:
            return Pair(ids_N, ids_N[:0], 0, 0, segment)
        long_enough = places[places <= len(others_N) - len(ids_N) + cut]
        places = long_enough if long_enough.size else places[:1]
        begin = int(places[rng.integers(places.size)])
        longest = min(len(ids_N) - cut, len(others_N) - begin)
        length = int(rng.integers((longest + 1) // 2, longest))  # ends of neither text, which is where the other might not end
        label = int(rng.random() < self.random_rate)
        second_N = others_N[begin:] if label else ids_N[cut:]
        return Pair(ids_N[:cut], second_N[:length], label, 1, segment)

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        yield from super().shares(windows, example, vocab)
        yield Share("of the pairs, of two documents", self.random_rate, int(example["pair"]), int(example["pair_weights"]))


@dataclass(frozen=True)
class SentenceOrder(SentencePairs):
    """Masked words, and which of two texts that follow each other came first (ALBERT, arXiv:1909.11942, section 3.1).

    The longest document of a row's window is cut at one of its sentences, and with probability `swap_rate` the parts change
    places. Each cut is as likely of those after which both parts begin with the same white space, and end with the same: where one
    part alone begins or ends a paragraph, that would tell the order. So would sentences of which the window has not both ends,
    which are left out of a pair, as are tokens at the ends of a part that are nothing but white space.
    """

    swap_rate: float = 0.5
    """Share of the pairs whose parts change places."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_probability("objective", self, "swap_rate")

    def pair_of(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab) -> Pair:
        ids_N, starts, (begins, ends), segment = _text(windows[0], vocab)
        borders = np.concatenate([[0] * begins, starts, [len(ids_N)] * ends]).astype(int)
        if borders.size < 3:
            return Pair(ids_N, ids_N[:0], 0, 0, segment)
        whole_N, cuts = ids_N[borders[0] : borders[-1]], borders[1:-1] - borders[0]
        halves = [(_trimmed(whole_N[:cut], vocab), _trimmed(whole_N[cut:], vocab)) for cut in cuts]
        halves = [(first_N, second_N) for first_N, second_N in halves if _alike(first_N, second_N, vocab)]
        if not halves:
            return Pair(ids_N, ids_N[:0], 0, 0, segment)
        first_N, second_N = halves[int(rng.integers(len(halves)))]
        if rng.random() < self.swap_rate:
            return Pair(second_N, first_N, 1, 1, segment)
        return Pair(first_N, second_N, 0, 1, segment)

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        yield from super().shares(windows, example, vocab)
        yield Share("of the pairs, swapped", self.swap_rate, int(example["pair"]), int(example["pair_weights"]))


def _text(window: Window, vocab: Vocab) -> tuple[np.ndarray, np.ndarray, tuple[bool, bool], int]:
    """Of the longest document of a window: its ids without bos and eos, where in them sentences start (but for the first id), and
    whether a sentence begins with them, and one ends; then its number."""
    segments_N = window.segments_N
    segment = int(np.bincount(segments_N)[1:].argmax()) + 1 if segments_N.any() else -1
    place = segments_N == segment
    ids_N, starts_N = window.ids_N[place], np.zeros(place.sum(), bool)
    if window.sentences_N is not None:
        starts_N = window.sentences_N[place]
    bos, eos = (int(bool(len(ids_N)) and ids_N[end] == id) for end, id in ((0, vocab.bos), (-1, vocab.eos)))
    inside = slice(bos, max(bos, len(ids_N) - eos))
    ids_N, starts_N = ids_N[inside], starts_N[inside]
    starts = np.flatnonzero(starts_N)
    return ids_N, starts[starts > 0], (bool(starts_N[:1].any()), bool(eos)), segment


def _trimmed(ids_N: np.ndarray, vocab: Vocab) -> np.ndarray:
    """A text without the ids at its ends that are nothing but white space."""
    if vocab.spacing_V2 is None:
        return ids_N
    places = np.flatnonzero(vocab.spacing_V2[ids_N, 0] >= 0)
    return ids_N[places[0] : places[-1] + 1] if places.size else ids_N[:0]


def _alike(first_N: np.ndarray, second_N: np.ndarray, vocab: Vocab) -> bool:
    """Whether two texts begin with as much white space, and end with as much; neither is empty."""
    if not (first_N.size and second_N.size):
        return False
    spacing_V2 = vocab.spacing_V2
    return spacing_V2 is None or all(spacing_V2[first_N[place], end] == spacing_V2[second_N[place], end] for place, end in ENDS)


def _row(pair: Pair, vocab: Vocab, seq_len: int) -> Window:
    """[CLS] A [SEP] B [SEP], or [CLS] A [SEP] where there is no B, as one document."""
    if not len(pair.first_N):
        return Window.empty(seq_len)
    cls, sep = [vocab.cls], [vocab.sep]  # `check` refuses tokenizers without them
    second = [pair.second_N, sep] if pair.weight else []
    row = Window.of([np.concatenate([cls, pair.first_N, sep, *second])], seq_len)
    return row._replace(segments_N=row.segments_N * np.int32(pair.segment))
