"""Fill in the middle: next-token prediction over documents whose middle has moved to their end (arXiv:2207.14255)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jaxlm.core import Example, Vocab, Window
from jaxlm.core.errors import require_probability
from jaxlm.objectives.base import Share
from jaxlm.objectives.causal import CausalLM


@dataclass(frozen=True)
class FillInMiddle(CausalLM):
    """Cut some documents in three, and learn to write the middle after both its sides.

    Between its bos and eos, as far as the row holds them, a document becomes (section 3 of the paper)

        PSM: <PRE> prefix <SUF> suffix <MID> middle
        SPM: <PRE> <SUF> suffix <MID> prefix middle

    with the tokenizer's first three sentinels. Both cuts are drawn evenly from all places between tokens (the paper
    cuts between characters), parts may be empty, and all tokens are learnt. It is done to the documents of a row, the
    paper's context-level variant. A row has room for the marks of one document; where more are turned its end is cut.
    """

    rate: float = 0.5
    """Share of the documents that are turned; the paper has 0.5 to 0.9."""
    spm_rate: float = 0.5
    """Share of those that are written as SPM."""

    bits_name = None  # type: ignore[assignment]  # the marks are no text

    def __post_init__(self) -> None:
        super().__post_init__()
        require_probability("objective", self, "rate", "spm_rate")

    def least_length(self) -> int:
        return 5  # the marks, and a token that tells another

    def num_sentinels(self, seq_len: int) -> int:
        return 3

    def raw_length(self, seq_len: int) -> int:
        return super().raw_length(seq_len) - 3

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        documents = [self._turned(ids_N, rng, vocab) if rng.random() < self.rate else ids_N for ids_N in windows[0].documents()]
        return super().prepare((Window.of(documents, seq_len + 1),), rng, vocab, seq_len)

    def _turned(self, ids_N: np.ndarray, rng: np.random.Generator, vocab: Vocab) -> np.ndarray:
        pre, suf, mid = ([id] for id in vocab.sentinels[:3])
        special_N = vocab.special_V[ids_N]
        start = int(special_N[0])  # bos and eos stay where they are
        stop = max(start, len(ids_N) - int(special_N[-1]))
        first, second = np.sort(rng.integers(start, stop + 1, size=2))
        prefix, middle, suffix = ids_N[start:first], ids_N[first:second], ids_N[second:stop]
        spm = rng.random() < self.spm_rate
        turned = [pre, suf, suffix, mid, prefix, middle] if spm else [pre, prefix, suf, suffix, mid, middle]
        return np.concatenate([ids_N[:start], *turned, ids_N[stop:]])

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterator[Share]:
        first_L = example["segments"] == 1  # a row's end, and with it its last documents, may be cut
        turned = bool(vocab.sentinels[0] in example["tokens"][first_L])
        yield Share("of the documents, turned", self.rate, int(turned), int(first_L.any()))
        if turned:
            tokens = example["tokens"][first_L].tolist()
            spm = tokens[tokens.index(vocab.sentinels[0]) + 1 :][:1] == [vocab.sentinels[1]]
            text = int((~vocab.special_V[windows[0].documents()[0]]).sum())
            empty = 1 - (text / (text + 1)) ** 2  # prefixes, of evenly drawn cuts
            yield Share("of the turned, SPM or without a prefix", self.spm_rate + (1 - self.spm_rate) * empty, int(spm), 1)
