import pickle

import numpy as np
import pytest
from data_fakes import BOS, EOS, ByteTokenizer, items

from jaxlm.core import Document
from jaxlm.data import WindowReader, pack, write_store


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    path = tmp_path_factory.mktemp("windows") / "store"
    return write_store(path, items(150, longest=40), ByteTokenizer(), shard_tokens=100).part("train", "books")


def told_slowly(part, pieces, length):
    """A window token by token: which document is each token of?"""
    owner = np.repeat(np.arange(part.num_documents), np.diff(part.offsets()))
    ids, segments, positions, spans = [], [], [], []
    for start, stop in pieces:
        previous = None
        for t in range(start, stop):
            if owner[t] != previous:
                segment, position, previous = (segments[-1] + 1 if segments else 1), 0, owner[t]
                first = t - int(part.offsets()[previous])
                spans.append([int(previous), part.document(previous).id, first, first])
            spans[-1][3] += 1
            ids.append(int(part.ids(t, t + 1)[0]))
            segments.append(segment)
            positions.append(position)
            position += 1
    padding = [0] * (length - len(ids))
    return ids + padding, segments + padding, positions + padding, [tuple(s) for s in spans]


@pytest.mark.parametrize("kind", ["windows", "best_fit", "documents"])
@pytest.mark.parametrize(("length", "overlap"), [(33, 1), (16, 0), (300, 1), (2, 1)])
def test_a_window_is_what_reading_token_by_token_gives(part, kind, length, overlap):
    packing = pack(part, kind, length, overlap)
    reader = WindowReader(part, packing, length)
    assert len(reader) == len(packing)
    for i in [*range(min(len(reader), 60)), len(reader) - 1]:
        window = reader.window(i)
        ids, segments, positions, spans = told_slowly(part, packing.pieces(i), length)
        assert window.ids_N.tolist() == ids
        assert window.segments_N.tolist() == segments
        assert window.positions_N.tolist() == positions
        assert [tuple(span) for span in reader.documents(i)] == spans
        assert reader.document_numbers(i) == {span[0] for span in spans}
        assert {a.dtype for a in window[:3]} == {np.dtype(np.int32)}
        assert window.others == {}


def test_a_reader_travels(part):
    reader = pickle.loads(pickle.dumps(WindowReader(part, pack(part, "best_fit", 16, 0), 16)))
    assert reader.window(3).ids_N.any()


def test_parallel_streams_share_their_segments(tmp_path):
    pairs = [(Document(str(i), {"en": "abcdef"[:i], "de": "u" * (2 * i)}, "s"), False) for i in range(7)]
    part = write_store(tmp_path / "store", pairs, ByteTokenizer()).parts[0]
    reader = WindowReader(part, pack(part, "windows", 12, 0), 12)
    for i in range(len(reader)):
        window = reader.window(i)
        german = window.others["de"]
        assert set(window.others) == {"de"}
        for segment, span in enumerate(reader.documents(i), 1):
            ids = german.ids_N[german.segments_N == segment]
            whole = [BOS, *[ord("u")] * (2 * span.document), EOS]
            assert ids.tolist() == whole[: len(ids)]
            assert german.positions_N[german.segments_N == segment].tolist() == list(range(len(ids)))
            cut = len(ids) < len(whole)
            assert not cut or german.segments_N.all(), "only what does not fit may be missing"
    assert any(reader.window(i).others["de"].segments_N.max() > 1 for i in range(len(reader)))


@pytest.mark.parametrize("kind", ["best_fit", "documents"])
def test_pairs_are_whole_on_both_sides_or_left_out_and_counted(tmp_path, kind):
    lengths = [(n % 7, (3 * n) % 11) for n in range(60)]
    pairs = [(Document(str(n), {"en": "e" * en, "de": "d" * de}, "s"), False) for n, (en, de) in enumerate(lengths)]
    part = write_store(tmp_path / "store", pairs, ByteTokenizer()).parts[0]
    packing = pack(part, kind, 10, 0, ("de", "en"))
    reader = pickle.loads(pickle.dumps(WindowReader(part, packing, 10, ("de", "en"))))
    shown, used = [], 0
    for i in range(len(reader)):
        window = reader.window(i)
        spans = reader.documents(i)
        shown += [span.document for span in spans]
        assert len(spans) == 1 or kind == "best_fit"
        assert set(window.others) == {"en"}  # the window itself is the first that was asked for
        for side, letter, own in ((window, "d", 1), (window.others["en"], "e", 0)):
            whole = [[BOS, *[ord(letter)] * lengths[span.document][own], EOS] for span in spans]
            assert [ids.tolist() for ids in side.documents()] == whole
            used += sum(map(len, whole))
        assert [(span.start, span.stop) for span in spans] == [(0, lengths[span.document][1] + 2) for span in spans]
    fit = [n for n, pair in enumerate(lengths) if max(pair) + 2 <= 10]
    assert sorted(shown) == fit
    assert packing.num_left_out == 60 - len(fit) > 0
    assert packing.waste == pytest.approx(1 - used / (len(reader) * 20))
    assert pack(part, kind, 10, 0).num_left_out == 0  # a map of its own: the first stream alone may be cut
