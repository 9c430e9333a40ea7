"""Span corruption: the published sizes, how spans are cut, what no tokenizer or setting can do."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Window
from jaxlm.core.noise import host_generator
from jaxlm.objectives import SpanCorruption, mixture_of_denoisers

VOCAB = replace(tiny.vocab(), sentinels=tuple(range(20, 61)), special_V=np.arange(61) > 19)
ROWS = 1500


def rows(objective, length, seq_len):
    """(text, read, written) of rows of one document of this many tokens."""
    for row in range(ROWS):
        text = 7 + np.arange(length) % 13
        example = objective.prepare((Window.of([text], length),), host_generator(0, "prepare", row), VOCAB, seq_len)
        yield text, example["encoder_tokens"][example["encoder_segments"] > 0], example["targets"][example["weights"] > 0]


def test_the_sizes_of_t5():
    objective = SpanCorruption()
    assert (objective.raw_length(512), objective.row_length(512)) == (568, 114)
    _, read, written = next(rows(objective, 568, 512))
    assert (len(read), len(written)) == (512, 114)


def test_read_and_written_make_the_text_again():
    for text, read, written in rows(SpanCorruption(corrupt_rate=0.4), 24, 32):
        marks = written[VOCAB.special_V[written]].tolist()
        assert marks == list(VOCAB.sentinels[: len(marks)])  # in order, each once
        assert read[-1] == written[-1] == VOCAB.eos
        hidden = dict(zip(marks, np.split(written[:-1], np.flatnonzero(VOCAB.special_V[written]))[1:], strict=True))
        parts = [hidden[id][1:] if id in hidden else [id] for id in read[:-1].tolist()]
        assert np.concatenate(parts).tolist() == text.tolist()


def test_all_ways_to_cut_are_alike():
    """Of 8 hidden tokens in 3 spans the first has a with probability C(7 - a, 1) / C(7, 2)."""
    objective = SpanCorruption(corrupt_rate=0.4, mean_span=3.0)
    assert objective._counts(20) == (8, 3)
    first, kept = [], []
    for _, read, written in rows(objective, 20, 32):
        first.append(int(np.flatnonzero(VOCAB.special_V[written])[1]) - 1)
        kept.append(int(np.flatnonzero(VOCAB.special_V[read])[0]))
    assert all(tiny.likely(first.count(a), ROWS, comb(7 - a, 1) / comb(7, 2)) for a in range(1, 7))
    assert all(tiny.likely(kept.count(a), ROWS, comb(11 - a, 1) / comb(11, 2)) for a in range(1, 11))


def test_the_end_alone_is_of_any_length():
    objective = SpanCorruption(corrupt_rate=0.25, mean_span=None, mode="S")
    lengths = [len(written) - 2 for _, _, written in rows(objective, 20, 32)]
    assert all(tiny.likely(lengths.count(a), ROWS, 1 / 10) for a in range(1, 11))
    assert all(read[0] == VOCAB.sentinels[-2] for _, read, _ in rows(objective, 20, 32))


def test_a_text_of_one_token_or_of_its_ends_alone_is_left_out():
    window = Window.of([np.array([2, 9, 3]), np.array([2, 3]), np.array([2, 9, 10, 11, 3])], 16)
    example = SpanCorruption(target_length=8).prepare((window,), np.random.default_rng(0), VOCAB, 8)
    assert example["encoder_tokens"].tolist() == [9, 10, 20, 3, 0, 0, 0, 0]
    assert example["targets"].tolist() == [20, 11, 3, 0, 0, 0, 0, 0]


def test_members_of_the_mixture_share_their_fields():
    blend = mixture_of_denoisers(32)
    with pytest.raises(ConfigError, match="Blend needs 10 sentinels"):
        blend.check(replace(VOCAB, sentinels=(58, 59, 60)), 32)
    blend.check(VOCAB, 32)
    assert [member.mode for member, _ in blend.members] == ["R", "R", "S", "X", "X", "X", "X"]


def test_sentinels_are_counted():
    with pytest.raises(ConfigError) as error:
        SpanCorruption().check(VOCAB, 1024)
    assert str(error.value) == (
        "objective SpanCorruption needs 57 sentinels and the tokenizer has 41; give one that has them: "
        "tokenizer.num_sentinels=57 where it is made here"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"corrupt_rate": 1.0},
            "objective.corrupt_rate=1.0 must be above 0 and at most 0.95 (T5 has 0.15) and "
            "objective.mean_span=3.0 at least 1 (T5 has 3), or None",
        ),
        (
            {"mean_span": 0.5},
            "objective.corrupt_rate=0.15 must be above 0 and at most 0.95 (T5 has 0.15) and "
            "objective.mean_span=0.5 at least 1 (T5 has 3), or None",
        ),
        ({"target_length": 2}, "objective.target_length=2 must be at least 4; leave it out for what is needed"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ConfigError) as error:
        SpanCorruption(**settings)
    assert str(error.value) == words


@pytest.mark.parametrize(("objective", "needed"), [(SpanCorruption(), 3), (SpanCorruption(mode="R"), 4)])
def test_rows_without_room_for_a_gap(objective, needed):
    with pytest.raises(
        ConfigError, match=rf"^data\.seq_len={needed - 1} is too short: objective SpanCorruption needs at least {needed}$"
    ):
        objective.check(tiny.vocab(), needed - 1)
    assert objective.raw_length(needed) == 2
