"""Whole words and spans: what is hidden together, and how often spans have which length."""

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Vocab
from jaxlm.core.noise import host_generator
from jaxlm.objectives import MaskedLM, Spans, Tokens, WholeWords
from jaxlm.objectives.masking import Row
from jaxlm.tokenizer import SentencePiece

L, ROWS = 128, 300
VOCAB = tiny.vocab()


def rows(objective):
    for row in range(ROWS):
        window = tiny.window(L, row, documents=1 + row % 3, padding=row % 20)
        yield window, objective.prepare((window,), host_generator(0, "prepare", row), VOCAB, L)


def words(window):
    """Places of each word, by a loop over the tokens."""
    found, before = [], None
    for place, (id, segment) in enumerate(zip(window.ids_N.tolist(), window.segments_N.tolist(), strict=True)):
        if segment == 0 or VOCAB.special_V[id]:
            before = None
            continue
        if before != segment or VOCAB.starts_word_V[id]:
            found.append([])
        found[-1].append(place)
        before = segment
    return found


def row_of(window):
    maskable_L = (window.segments_N > 0) & ~VOCAB.special_V[window.ids_N]
    return Row(window.ids_N, window.segments_N, maskable_L, VOCAB)


def test_words_are_those_that_a_reader_finds():
    for row in range(20):
        window = tiny.window(L, row, documents=1 + row % 3, padding=row % 20)
        assert [word.tolist() for word in row_of(window).words()] == words(window)


def test_words_end_with_the_white_space_of_a_piece():
    """SentencePiece also learns pieces that end in white space; what follows one is a word of its own."""
    text = "if x:\n\n    return y.\n\n  Zoe said: \u00abno\u00bb.\nDUCHESS\n"
    tokenizer = SentencePiece(vocab_size=340, model_type="bpe").train(lambda: [text, ".\n\n y.\n\n x:\n\n "] * 20)
    (ids_N,) = tokenizer.encode_batch([text])
    assert any(tokenizer.vocab.spacing_V2[id, 1] > 0 for id in ids_N), "else this shows nothing"
    row = Row(ids_N, np.ones_like(ids_N), np.ones(len(ids_N), bool), tokenizer.vocab)
    assert [tokenizer.decode(ids_N[word]).strip() for word in row.words() if tokenizer.decode(ids_N[word]).strip()] == text.split()


@pytest.mark.parametrize("masking", [WholeWords(), Spans(), Spans(mean=1.0), Spans(mean=5.5)])
def test_words_are_hidden_whole(masking):
    hidden = ordinary = touched = 0
    for window, example in rows(MaskedLM(masking=masking)):
        chosen_L = example["weights"] > 0
        shares = [chosen_L[word].mean() for word in words(window)]
        assert set(shares) <= {0, 1}
        assert chosen_L.sum() == sum(share * len(word) for share, word in zip(shares, words(window), strict=True))
        touched += sum(share == 1 for share in shares)
        hidden += chosen_L.sum()
        ordinary += sum(len(word) for word in words(window))
    assert touched > ROWS
    assert 0.14 < hidden / ordinary < 0.152  # never more than asked, and seldom less: words are short here


def test_words_of_all_lengths_are_hidden():
    lengths = {
        len(word)
        for window, example in rows(MaskedLM(masking=WholeWords()))
        for word in words(window)
        if example["weights"][word[0]]
    }
    assert {1, 2, 3, 4, 5} <= lengths


def test_spans_are_longer_than_words_drawn_singly():
    def runs(masking):
        chosen = np.concatenate([example["weights"] > 0 for _, example in rows(MaskedLM(masking=masking))])
        return (chosen & ~np.roll(chosen, 1)).sum()

    assert runs(Spans()) < 0.5 * runs(WholeWords()) < 0.5 * runs(Tokens())


@pytest.mark.parametrize(("mean", "longest"), [(3.8, 10), (1.0, 10), (2.0, 3), (5.5, 10), (1.0, 1)])
def test_lengths_of_spans_fall_as_a_geometric_series(mean, longest):
    number = 20_000
    lengths = Spans(mean, longest).lengths(np.random.default_rng(0), number)
    assert lengths.min() >= 1
    assert lengths.max() <= longest
    assert abs(lengths.mean() - mean) <= 5 * lengths.std() / number**0.5
    expected = [0.8 ** (n - 1) for n in range(1, 11)] if mean == 3.8 else None  # SpanBERT's, to two figures
    if expected:
        for n, weight in enumerate(expected, start=1):
            assert tiny.likely((lengths == n).sum(), number, weight / sum(expected)), n


def test_a_span_is_a_stretch_of_one_document():
    for row in range(100):
        window = tiny.window(L, row, documents=3)
        group_L = Spans(mean=5.5).choose(row_of(window), L, np.random.default_rng(row))
        for number in set(group_L.tolist()) - {0}:
            places = np.flatnonzero(group_L == number)
            assert (np.diff(places) == 1).all()
            assert len(set(window.segments_N[places].tolist())) == 1


def test_a_span_shares_its_fate():
    objective = MaskedLM(masking=Spans(mean=5.5), mask_rate=0.5)
    mixed = 0
    for window, example in rows(objective):
        chosen_L = example["weights"] > 0
        for before, after in zip(np.flatnonzero(chosen_L)[:-1], np.flatnonzero(chosen_L)[1:], strict=True):
            fates = [example["tokens"][place] == VOCAB.mask for place in (before, after)]
            mixed += after == before + 1 and fates[0] != fates[1]
        assert window.segments_N[chosen_L].all()
    pairs = ROWS * 0.5 * L
    assert mixed < 0.05 * pairs  # 2 x 0.8 x 0.2 = 0.32, were each drawn for itself


@pytest.mark.parametrize("masking", [WholeWords(), Spans()])
def test_a_tokenizer_that_marks_no_words(masking):
    unmarked = Vocab(61, "tiny", pad=0, bos=2, eos=3, mask=4, special_V=VOCAB.special_V)
    MaskedLM().check(unmarked, 16)
    with pytest.raises(ConfigError) as error:
        MaskedLM(masking=masking).check(unmarked, 16)
    assert str(error.value) == (
        f"objective.masking={type(masking).__name__}() hides whole words and the tokenizer does not mark where words start; use "
        "Tokens(), or a tokenizer that does, such as SentencePiece"
    )


@pytest.mark.parametrize("settings", [{"mean": 0.5}, {"mean": 6.0}, {"mean": 3.0, "longest": 4}, {"longest": 0}])
def test_lengths_that_cannot_be(settings):
    with pytest.raises(ConfigError, match=r"objective.masking.mean=.* must be between 1 and .*longest="):
        Spans(**settings)
