"""What an objective's `prepare` must keep to: pure, padding of weight 0, and nothing given that is asked."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from jaxlm.core import Example, Window
from jaxlm.laws.subject import Subject, Verdict, glued, shortened

FIELDS: dict[str, Any] = {
    "tokens": np.int32,
    "positions": np.int32,
    "segments": np.int32,
    "targets": np.int32,
    "weights": np.float32,
}
ENCODER_FIELDS: dict[str, Any] = {"encoder_tokens": np.int32, "encoder_positions": np.int32, "encoder_segments": np.int32}
SHORT = 24
"""Tokens of the rows in which each token is changed in turn."""


def fields(subject: Subject) -> Iterator[Verdict]:
    """Names, shapes and types: rows of a batch can be stacked, those of padding too."""
    example, padding = subject.example(0, subject.windows[0]), subject.padding()
    sides = [(FIELDS, subject.objective.row_length(subject.seq_len))]
    if subject.objective.encoder:
        sides.append((ENCODER_FIELDS, len(example.get("encoder_tokens", ()))))
    wrong = [
        f"{name} is {_kind(example.get(name))}, {np.dtype(dtype)}[{length}] is needed"
        for fields, length in sides
        for name, dtype in fields.items()
        if name not in example or _kind(example[name]) != f"{np.dtype(dtype)}[{length}]"
    ]
    wrong += [f"{name} is {_kind(padding.get(name))} in a row of padding" for name in example if _differ(example, padding, name)]
    yield Verdict("a row has its fields", not wrong, wrong[0] if wrong else f"{len(example)} fields")


def purity(subject: Subject) -> Iterator[Verdict]:
    """The same windows and key give the same row, whatever came before; the store is not written to."""
    rows = range(min(8, len(subject.windows)))
    kept = [[_read_only(window) for window in windows] for windows in subject.windows[: len(rows)]]
    first = {row: subject.example(row, kept[row]) for row in rows}
    again = {row: subject.example(row, kept[row]) for row in reversed(rows)}
    broken = sum(any(_unequal(first[row][name], again[row][name]) for name in first[row]) for row in rows)
    yield Verdict.exact("a row is a pure function of windows and key", broken, f"of {len(rows)} rows differ")


def padding(subject: Subject) -> Iterator[Verdict]:
    """Places of padding, and rows of padding, weigh nothing."""
    weighed = int(((subject.batch["segments"] == 0) & (subject.batch["weights"] != 0)).sum())
    yield Verdict.exact("padding weighs nothing", weighed, "places of padding weigh something")


def targets(subject: Subject) -> Iterator[Verdict]:
    """By changing each token of some short rows: where it is asked for, and where it is seen."""
    visible = asked = crossing = strays = 0
    causal = subject.model.attention == "causal"
    for window, before, changes in _changes(subject):
        places_before = np.zeros(0, int)
        for r, after in changes:
            weighed = (before["weights"] > 0) & (after["weights"] > 0)
            asking = np.flatnonzero((before["targets"] != after["targets"]) & weighed)
            telling = np.flatnonzero(before["tokens"] != after["tokens"])
            asked += len(asking)
            read = subject.objective.encoder and _unequal(before["encoder_tokens"], after["encoder_tokens"])
            visible += sum(bool(read or (len(telling) and (not causal or telling.min() <= i))) for i in asking)
            crossing += int((before["segments"][asking] != window.segments_N[r]).sum())
            follows = bool(r > 0 and window.segments_N[r] == window.segments_N[r - 1])
            strays += int(follows and asking.tolist() != places_before[:1].tolist())
            places_before = telling
    if causal:
        yield Verdict.exact("no target is among the tokens that its place sees", visible, f"of {asked} targets are")
    else:
        share = visible / max(asked, 1)
        law = "most targets are hidden from the model"
        yield Verdict(law, bool(asked and share < 0.5), f"{share:.0%} of {asked} are seen", "50%")
    yield Verdict.exact("a target is of its place's document", crossing, f"of {asked} are of another")
    law = "each token is asked for once, after the one before it"
    if causal and subject.objective.bits_name == "bits_per_byte":
        yield Verdict.exact(law, strays, "tokens are not")
    else:
        yield Verdict.not_here(law, "the objective reports no bits per byte")


def documents(subject: Subject) -> Iterator[Verdict]:
    """By the same changes: which document each given token is of, and where it stands in it."""
    joined = shared = late = given = 0
    sides = ("", "encoder_") if subject.objective.encoder else ("",)
    for window, before, changes in _changes(subject):
        origin = {side: np.zeros(len(before[f"{side}tokens"]), int) for side in sides}
        """Of each given token, the document that it came from; 0: from none."""
        for r, after in changes:
            for side in sides:
                origin[side][before[f"{side}tokens"] != after[f"{side}tokens"]] = window.segments_N[r]
        for segment in set(before["segments"].tolist()) - {0}:
            places = {side: before[f"{side}segments"] == segment for side in sides}
            joined += len({document for side in sides for document in origin[side][places[side]].tolist()} - {0}) > 1
            for side in sides:
                positions = before[f"{side}positions"][places[side]].tolist()
                given += len(positions)
                late += min(positions, default=0) != 0
                shared += len(positions) - len(set(positions))
    yield Verdict.exact("documents keep segments of their own", joined, "segments hold two documents")
    told = f"segments begin late, {shared} of {given} tokens share a position"
    yield Verdict.exact("positions count anew in each document", late + shared, f"faults: {late} {told}")


def _changeable(subject: Subject, window: Window) -> list[int]:
    """Places of tokens; where both sides are seen those of ordinary ones, for a special one decides what may be drawn."""
    ordinary = np.isin(window.ids_N, subject.ordinary)
    causal = subject.model.attention == "causal"
    return np.flatnonzero((window.segments_N > 0) & (ordinary | causal)).tolist()


def _changes(subject: Subject) -> Iterator[tuple[Window, Example, Iterator[tuple[int, Example]]]]:
    """Of some short rows of two documents of unlike length: the window, its row, and (place, the row with that token changed)."""
    length = subject.objective.raw_length(SHORT)
    for row, windows in enumerate(subject.windows[:16]):
        if len(windows[0].ids_N) < length:
            break
        first, *others, second = [w.cut(length) for w in (*windows, subject.windows[(row + 1) % len(subject.windows)][0])]
        window = shortened(glued(first, second), length - row % 4)
        example = partial(_short_row, subject, row, others)
        changed = ((r, example(_changed(window, r, _alike(subject, window.ids_N[r])))) for r in _changeable(subject, window))
        yield window, example(window), changed


def _short_row(subject: Subject, row: int, others: list[Window], window: Window) -> Example:
    return subject.example(row, (window, *others), SHORT)


def statistics(subject: Subject) -> Iterator[Verdict]:
    """The objective's own shares, each within its binomial bounds at one in a million."""
    from scipy.stats import binomtest

    counted: dict[str, tuple[float, int, int]] = {}
    for row, windows in enumerate(subject.windows):
        for share in subject.objective.shares(windows, subject.example(row, windows), subject.vocab):
            expected, hits, trials = counted.get(share.name, (0.0, 0, 0))
            counted[share.name] = expected + share.probability * share.trials, hits + share.hits, trials + share.trials
    for name, (expected, hits, trials) in counted.items():
        probability = min(expected / max(trials, 1), 1.0)  # unlike ones spread less than their mean: the bounds hold
        chance = binomtest(hits, trials, probability).pvalue if trials else 0.0
        measured = f"{hits / max(trials, 1):.4f} of {trials:,}, chance {chance:.1e}"
        yield Verdict(f"{name}: {probability:g}", bool(chance >= 1e-6), measured, "chance 1e-06")
    if not counted:
        yield Verdict.not_here("the objective's own shares", "it states none (`shares`)")


def _kind(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{array.dtype}[{','.join(map(str, array.shape))}]"


def _differ(a: dict, b: dict, name: str) -> bool:
    return _kind(a.get(name)) != _kind(b.get(name))


def _unequal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape != b.shape or bool((a != b).any())


def _read_only(window: Window) -> Window:
    arrays = [np.array(array) for array in window[:3]]
    for array in arrays:
        array.flags.writeable = False
    return window._replace(ids_N=arrays[0], segments_N=arrays[1], positions_N=arrays[2])


def _alike(subject: Subject, id: int) -> np.ndarray:
    """Ordinary ids, ascending, that begin words as this one does: which words there are decides what may be drawn."""
    ids = subject.ordinary
    for marks in (subject.vocab.starts_word_V, subject.vocab.spacing_V2):
        if marks is not None:
            ids = ids[(marks[ids] == marks[id]).reshape(len(ids), -1).all(1)]
    return ids


def _changed(window: Window, place: int, others: np.ndarray) -> Window:
    """The window with another of these ids at one place."""
    ids_N = window.ids_N.copy()
    ids_N[place] = others[(np.searchsorted(others, ids_N[place]) + 1) % len(others)]
    return window._replace(ids_N=ids_N)
