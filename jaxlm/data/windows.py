"""window(i): row i of a packed part, a pure function of the integer i."""

from typing import NamedTuple

import numpy as np

from jaxlm.core import Window
from jaxlm.data.packing import Packing
from jaxlm.data.store import Part


class Span(NamedTuple):
    """What a segment of a window shows: tokens [start, stop) of a document, counted from its bos."""

    document: int
    """Its number in the part."""
    id: str
    start: int
    stop: int


class WindowReader:
    """Reads the windows of one part.

    Args:
      raw_length: tokens of a window; shorter ones are padded (id 0, segment 0).
      streams: those of parallel text that windows hold, their own first; whole, as `pack` with the same streams lets them fit.
        (): the part's own, of which the first alone is sure to be there as the packing cut it.
    """

    def __init__(self, part: Part, packing: Packing, raw_length: int, streams: tuple[str, ...] = ()):
        self.part, self.packing, self.raw_length, self._whole = part, packing, raw_length, streams
        self.streams = streams or part.streams
        self._offsets = part.offsets()
        self._numbers = np.arange(raw_length + 1, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.packing)

    def number(self, index: int, epoch: int) -> int:
        """Of window `index` as this epoch cuts it: what the other methods take."""
        return index + epoch * len(self)

    def window(self, i: int) -> Window:
        """Window i; from `len` on, those of the next epochs. Other streams of parallel text hold, for each segment in
        order, the whole counterpart of its document, as far as `raw_length` goes."""
        first, *rest = self.streams
        others = {stream: self._counterpart(i, stream) for stream in rest}
        return (self._counterpart(i, first) if self._whole else self._cut(i))._replace(others=others)

    def _cut(self, i: int) -> Window:
        """Window i of the part's first stream, as its packing cuts it."""
        ids_N, segments_N, positions_N = np.zeros((3, self.raw_length), np.int32)
        sentences_N = None if self.part.num_sentences is None else np.zeros(self.raw_length, bool)
        cuts: list[int] = []  # where segments start in the window
        filled = 0
        for start, stop in self.packing.pieces(i):
            first, last = self._documents_in(start, stop)
            ids_N[filled : filled + stop - start] = self.part.ids(start, stop)
            if sentences_N is not None:
                sentences_N[filled : filled + stop - start] = self.part.sentences(start, stop)
            cuts.append(filled)
            if last > first:
                cuts.extend((self._offsets[first + 1 : last + 1] + (filled - start)).tolist())
            filled += stop - start
        _number(segments_N, positions_N, cuts, filled, self._numbers)
        return Window(ids_N, segments_N, positions_N, sentences_N)

    def documents(self, i: int) -> list[Span]:
        """What the segments of window i are, in order."""
        spans = []
        for start, stop in self.packing.pieces(i):
            first, last = self._documents_in(start, stop)
            for number in range(first, last + 1):
                document = self.part.document(number)
                inside = max(start, document.start) - document.start, min(stop, document.stop) - document.start
                if self._whole:
                    offsets = self.part.offsets(self.streams[0])
                    inside = 0, int(offsets[number + 1] - offsets[number])
                spans.append(Span(number, document.id, *inside))
        return spans

    def document_numbers(self, i: int) -> set[int]:
        """The numbers of the documents in window i."""
        return {n for piece in self.packing.pieces(i) for n in range(*_inclusive(self._documents_in(*piece)))}

    def _documents_in(self, start: int, stop: int) -> tuple[int, int]:
        """Numbers of the first and last document of a stretch."""
        first = int(self._offsets.searchsorted(start, "right")) - 1
        if stop <= self._offsets[first + 1]:
            return first, first
        return first, int(self._offsets.searchsorted(stop, "left")) - 1

    def _counterpart(self, i: int, stream: str) -> Window:
        ids_N, segments_N, positions_N = np.zeros((3, self.raw_length), np.int32)
        offsets = self.part.offsets(stream)
        cuts: list[int] = []
        filled = 0
        for piece in self.packing.pieces(i):
            for number in range(*_inclusive(self._documents_in(*piece))):
                start, stop = int(offsets[number]), int(offsets[number + 1])
                stop = min(stop, start + self.raw_length - filled)
                if stop > start:
                    ids_N[filled : filled + stop - start] = self.part.ids(start, stop, stream)
                    cuts.append(filled)
                    filled += stop - start
        _number(segments_N, positions_N, cuts, filled, self._numbers)
        return Window(ids_N, segments_N, positions_N)

    def __reduce__(self) -> tuple:
        return WindowReader, (self.part, self.packing, self.raw_length, self._whole)


def _inclusive(first_last: tuple[int, int]) -> tuple[int, int]:
    return first_last[0], first_last[1] + 1


def _number(segments_N: np.ndarray, positions_N: np.ndarray, cuts: list[int], filled: int, numbers: np.ndarray) -> None:
    """Numbers the segments that start at `cuts` from 1, and the tokens of each from 0."""
    if len(cuts) == 1:
        segments_N[:filled] = 1
        positions_N[:filled] = numbers[:filled]
        return
    lengths = np.diff([*cuts, filled])
    segments_N[:filled] = numbers[1 : len(cuts) + 1].repeat(lengths)
    positions_N[:filled] = numbers[:filled] - np.array(cuts, np.int32).repeat(lengths)
