"""Fill in the middle: nothing is lost, the cuts are drawn evenly, and how many are turned."""

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Vocab, Window
from jaxlm.core.noise import host_generator
from jaxlm.objectives import FillInMiddle

L, ROWS = 64, 1000
VOCAB = tiny.vocab()
PRE, SUF, MID = VOCAB.sentinels


def rows(objective, documents=1):
    for row in range(ROWS):
        window = tiny.window(objective.raw_length(L), row, documents=documents)
        yield window, objective.prepare((window,), host_generator(0, "prepare", row), VOCAB, L)


def parts(tokens):
    """(how it is written, prefix, middle, suffix) of a turned document; SPM's prefix and middle stand together."""
    tokens = tokens.tolist()
    pre, suf, mid = (tokens.index(mark) for mark in (PRE, SUF, MID))
    if suf == pre + 1:  # or PSM with nothing before the middle, which reads the same
        return "spm", tokens[mid + 1 :], [], tokens[suf + 1 : mid]
    return "psm", tokens[pre + 1 : suf], tokens[mid + 1 :], tokens[suf + 1 : mid]


def test_a_turned_document_has_all_its_tokens():
    for window, example in rows(FillInMiddle(rate=1.0)):
        tokens = np.append(example["tokens"], example["targets"][-1])
        _, prefix, middle, suffix = parts(tokens)
        *together, end = [*prefix, *middle]
        assert end == VOCAB.eos
        assert [VOCAB.bos, *together, *suffix, end] == window.ids_N.tolist()
        assert example["weights"].all()


def test_the_shares_of_those_turned_and_of_spm():
    objective = FillInMiddle(rate=0.7, spm_rate=0.4)
    turned = [tokens for _, example in rows(objective) if PRE in (tokens := example["tokens"])]
    assert tiny.likely(len(turned), ROWS, 0.7)
    n = objective.raw_length(L) - 2
    empty = 1 - (n / (n + 1)) ** 2  # of two cuts one is before the first token
    assert tiny.likely(sum(parts(tokens)[0] == "spm" for tokens in turned), len(turned), 0.4 + 0.6 * empty)


def test_the_cuts_are_drawn_evenly():
    prefixes = [
        len(prefix) for _, example in rows(FillInMiddle(rate=1.0, spm_rate=0.0)) for _, prefix, _, _ in [parts(example["tokens"])]
    ]
    n = FillInMiddle().raw_length(L) - 2
    assert abs(np.mean(prefixes) - n / 3) < 5 * n / 18**0.5 / ROWS**0.5  # the lesser of two even draws
    assert max(prefixes) > 0.8 * n


def test_at_rate_0_it_is_causal_and_leaves_the_room_for_marks_empty():
    for window, example in rows(FillInMiddle(rate=0.0), documents=2):
        np.testing.assert_array_equal(example["tokens"][:-2], window.ids_N)
        assert not example["segments"][-2:].any()


def test_a_document_of_its_ends_alone():
    for ids in ([2, 3], [2], [9], [3]):
        window = Window.of([np.array(ids)], FillInMiddle().raw_length(8))
        example = FillInMiddle(rate=1.0).prepare((window,), np.random.default_rng(0), VOCAB, 8)
        assert (example["segments"] > 0).sum() == len(ids) + 3


def test_a_tokenizer_without_sentinels():
    with pytest.raises(ConfigError) as error:
        FillInMiddle().check(Vocab(61, "tiny", pad=0, bos=2, eos=3, sentinels=(7,)), 16)
    assert str(error.value) == (
        "objective FillInMiddle needs 3 sentinels and the tokenizer has 1; give one that has them: "
        "tokenizer.num_sentinels=3 where it is made here"
    )


@pytest.mark.parametrize("name", ["rate", "spm_rate"])
def test_shares_that_cannot_be(name):
    with pytest.raises(ConfigError) as error:
        FillInMiddle(**{name: 1.5})
    assert str(error.value) == f"objective.{name}=1.5 must be at least 0 and at most 1"


def test_rows_without_room_for_the_marks():
    with pytest.raises(ConfigError, match=r"^data\.seq_len=4 is too short: objective FillInMiddle needs at least 5$"):
        FillInMiddle().check(VOCAB, 4)
    FillInMiddle().check(VOCAB, 5)
