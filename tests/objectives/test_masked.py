"""Masked language modelling: what is hidden, how often, behind what."""

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Vocab
from jaxlm.core.noise import host_generator
from jaxlm.objectives import MaskedLM

L, ROWS = 64, 2000
VOCAB = tiny.vocab()


def windows(row):
    return tiny.window(L, row, documents=1 + row % 3, padding=row % 20)


def rows(objective):
    for row in range(ROWS):
        window = windows(row)
        yield window, objective.prepare((window,), host_generator(0, "prepare", row), VOCAB, L)


@pytest.fixture(scope="module")
def hidden():
    """(is it chosen, original, given) of every token that may be hidden, over all rows."""
    parts = []
    for window, example in rows(MaskedLM()):
        chosen = example["weights"] > 0
        closed = (window.segments_N == 0) | VOCAB.special_V[window.ids_N]
        assert not chosen[closed].any(), "a special token or padding was chosen"
        np.testing.assert_array_equal(example["tokens"][~chosen], window.ids_N[~chosen])
        np.testing.assert_array_equal(example["targets"], window.ids_N)
        listed = example["masked_index"][example["masked_index"] >= 0]
        np.testing.assert_array_equal(listed, np.flatnonzero(chosen))
        assert len(listed) == max(1, round(0.15 * (~closed).sum()))
        parts.append(np.stack([np.arange(L), chosen, window.ids_N, example["tokens"]])[:, ~closed])
    return np.concatenate(parts, axis=1)


def test_the_mask_rate(hidden):
    _, chosen, _, _ = hidden
    assert abs(chosen.mean() - 0.15) < 0.005  # each row's share is exact up to one token


def test_every_place_is_chosen_alike(hidden):
    place, chosen, _, _ = hidden
    for start in range(1, 41, 10):
        here = (place >= start) & (place < start + 10)
        assert tiny.likely(chosen[here].sum(), here.sum(), chosen.mean())


def test_of_the_chosen_80_are_masked_10_random_10_kept(hidden):
    _, chosen, original, given = hidden[:, hidden[1] == 1]
    trials, ordinary = chosen.size, (~VOCAB.special_V).sum()
    assert trials > 10_000
    masked, random = given == VOCAB.mask, (given != VOCAB.mask) & (given != original)
    assert tiny.likely(masked.sum(), trials, 0.8)
    assert tiny.likely(random.sum(), trials, 0.1 * (ordinary - 1) / ordinary)
    assert not VOCAB.special_V[given[random]].any()
    assert set(given[random]) == set(np.flatnonzero(~VOCAB.special_V))


def test_masks_are_drawn_anew_for_each_row():
    draws = [MaskedLM().prepare((windows(0),), host_generator(0, "prepare", row), VOCAB, L)["weights"] for row in range(20)]
    assert len({tuple(weights) for weights in draws}) > 15


def test_no_row_has_more_gaps_than_there_are_places_for_them():
    for rate in (0.15, 0.5, 0.9, 0.999):
        for length in (1, 2, 3, 16, 63):
            ids = np.full(length, 9, np.int32)
            window = type(windows(0))(ids, np.ones(length, np.int32), np.arange(length, dtype=np.int32))
            example = MaskedLM(mask_rate=rate).prepare((window,), host_generator(0, "prepare", 0), VOCAB, length)
            assert (example["masked_index"] >= 0).sum() == example["weights"].sum() > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mask_rate": 0.0}, "objective.mask_rate=0.0 is not between 0 and 1; BERT has 0.15"),
        ({"mask_rate": 1.0}, "objective.mask_rate=1.0 is not between 0 and 1; BERT has 0.15"),
        (
            {"replace_with_mask": 0.95},
            "objective.replace_with_mask=0.95 and replace_with_random=0.1 must be at least 0 and add up to at most 1; "
            "BERT has 0.8 and 0.1",
        ),
        (
            {"replace_with_random": -0.1},
            "objective.replace_with_mask=0.8 and replace_with_random=-0.1 must be at least 0 and add up to at most 1; "
            "BERT has 0.8 and 0.1",
        ),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ConfigError) as error:
        MaskedLM(**settings)
    assert str(error.value) == words


def test_shares_that_add_up_to_one_are_allowed():
    MaskedLM(replace_with_mask=0.9, replace_with_random=0.1)
    MaskedLM(replace_with_mask=0.7, replace_with_random=0.3)


def test_a_tokenizer_without_a_mask():
    without = Vocab(61, "tiny", pad=0, bos=2, eos=3, special_V=VOCAB.special_V)
    with pytest.raises(ConfigError) as error:
        MaskedLM().check(without, 16)
    assert str(error.value) == "objective MaskedLM needs a [MASK] token and the tokenizer has none; use one that has"
