from itertools import pairwise

import numpy as np
import pytest
from data_fakes import ByteTokenizer, items
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlm.core import Document
from jaxlm.data import pack, write_store
from jaxlm.data.packing import Windows, best_fit, cut_documents


def one_by_one(lengths, width):
    """Best-fit decreasing as it is told: each piece, longest first, into the fullest row with room for it."""
    rooms = []
    for length in sorted(lengths, reverse=True):
        fitting = [i for i, room in enumerate(rooms) if room >= length]
        if fitting:
            rooms[min(fitting, key=rooms.__getitem__)] -= length
        else:
            rooms.append(width - length)
    return sorted(rooms)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=80), st.integers(20, 33))
def test_best_fit_fills_rows_as_placing_one_by_one_does(lengths, width):
    rows = best_fit(np.array(lengths), width)
    filled = np.bincount(rows, weights=lengths)
    assert sorted((width - filled).astype(int).tolist()) == one_by_one(lengths, width)


def test_best_fit_is_quick_and_wastes_little():
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(5, 1, 200_000).astype(int) + 2, 1025)
    filled = np.bincount(best_fit(lengths, 1025), weights=lengths)
    assert filled.max() <= 1025
    assert 1 - filled.sum() / (1025 * len(filled)) < 0.001


@pytest.mark.parametrize("overlap", [0, 1, 3])
@pytest.mark.parametrize("num_tokens", [1, 2, 7, 8, 9, 14, 15, 16, 100])
def test_windows_make_each_token_new_once(num_tokens, overlap):
    windows = Windows(num_tokens, 8, overlap)
    fresh = []
    for i in range(len(windows)):
        [(start, stop)] = windows.pieces(i)
        assert 0 <= start < stop <= num_tokens
        fresh.extend(range(start + (overlap if i else 0), stop))
        assert stop > start + overlap or i == 0, "a window without a new token"
    assert fresh == list(range(num_tokens))
    used = sum(stop - start for i in range(len(windows)) for start, stop in windows.pieces(i))
    assert windows.waste == pytest.approx(1 - used / (8 * len(windows)))


@pytest.mark.parametrize("num_tokens", [15, 16, 17, 1000])
def test_each_epoch_cuts_windows_elsewhere(num_tokens):
    """Without a gap, with as much missing at the end as the cut was moved, and starts that fill the stride evenly."""
    windows = Windows(num_tokens, 8, 1)
    n, shifts = len(windows), []
    for epoch in range(7):
        pieces = [windows.pieces(epoch * n + i)[0] for i in range(n)]
        shift = pieces[0][0] + 8 - pieces[0][1]
        assert pieces[0][0] == 0
        assert all(later[0] == earlier[1] - 1 for earlier, later in pairwise(pieces))
        assert all(1 < stop - start <= 8 for start, stop in pieces[:-1])
        assert num_tokens - shift <= pieces[-1][1] <= num_tokens
        shifts.append(shift)
    assert len(set(shifts)) >= 5
    assert shifts[0] == 0


def test_a_single_window_is_the_same_in_each_epoch():
    assert [Windows(5, 8, 1).pieces(i) for i in range(3)] == [[(0, 5)]] * 3


def test_no_tokens_make_no_windows():
    assert len(Windows(0, 8, 1)) == 0


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_documents_that_are_too_long_are_cut_with_an_overlap(overlap):
    offsets = np.array([0, 3, 8, 9, 30])
    pieces = cut_documents(offsets, 6, overlap).tolist()
    told = []
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        while True:
            stop = min(start + 6, end)
            told.append([start, stop])
            if stop == end:
                break
            start = stop - overlap
    assert pieces == told


@pytest.fixture
def part(tmp_path):
    return write_store(tmp_path / "store", items(200, longest=50), ByteTokenizer()).part("train", "books")


@pytest.mark.parametrize("kind", ["best_fit", "documents"])
def test_rows_hold_whole_documents(part, kind):
    packing = pack(part, kind, 32, 1)
    rows = [packing.pieces(i) for i in range(len(packing))]
    pieces = sorted(piece for row in rows for piece in row)
    assert pieces == [tuple(piece) for piece in cut_documents(part.offsets(), 32, 1).tolist()]
    used = [sum(stop - start for start, stop in row) for row in rows]
    assert max(used) <= 32
    assert packing.waste == pytest.approx(1 - sum(used) / (32 * len(rows)))
    if kind == "documents":
        assert all(len(row) == 1 for row in rows)
    else:
        assert packing.waste < 0.05 < pack(part, "documents", 32, 1).waste


def test_a_map_is_computed_once_and_stored_by_its_settings(part, monkeypatch):
    first = pack(part, "best_fit", 32, 1)
    rows = [first.pieces(i) for i in range(len(first))]
    assert [first.pieces(i) for i in range(len(first), 2 * len(first))] == rows
    pack(part, "best_fit", 32, 0).pieces(0)
    assert sorted(p.name for p in part.folder.glob("*.npy")) == ["best_fit-32-0.1.npy", "best_fit-32-1.1.npy"]
    monkeypatch.setattr("jaxlm.data.packing.best_fit", None)  # a second computation would fail
    again = pack(part, "best_fit", 32, 1)
    assert [again.pieces(i) for i in range(len(again))] == rows


def test_a_broken_map_is_made_anew(part):
    packing = pack(part, "best_fit", 32, 1)
    rows = [packing.pieces(i) for i in range(len(packing))]
    packing.path.write_bytes(packing.path.read_bytes()[:-8])
    again = pack(part, "best_fit", 32, 1)
    assert [again.pieces(i) for i in range(len(again))] == rows


def test_rows_without_overlap_are_needed(part):
    with pytest.raises(AssertionError, match="cannot share"):
        pack(part, "windows", 4, 4)


def test_one_document(tmp_path):
    part = write_store(tmp_path / "store", [(Document.of("x", "hello", "s"), False)], ByteTokenizer()).parts[0]
    for kind in ("windows", "best_fit", "documents"):
        packing = pack(part, kind, 16, 1)
        assert [packing.pieces(i) for i in range(len(packing))] == [[(0, 7)]]
