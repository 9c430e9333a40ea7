"""Sentence pairs: where texts are cut, what stands in whose place, and what is refused."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Document, Window
from jaxlm.core.noise import host_generator
from jaxlm.corpus import LeadingSpace
from jaxlm.data.sentences import encode_sentences
from jaxlm.objectives import MaskedLM, NextSentence, SentenceOrder, Spans, WholeWords
from jaxlm.tokenizer import Bytes, SentencePiece

VOCAB, L = tiny.vocab(), 64
BOTH = pytest.mark.parametrize("objective", [NextSentence(), SentenceOrder()], ids=lambda o: type(o).__name__)


def windows(objective, row):
    """Of the first, the ids are their places, so that each tells where it came from; the second's are higher."""
    first = tiny.window(objective.raw_length(L), row, documents=1, padding=row % 3 * 7)
    numbered = np.where(VOCAB.special_V[first.ids_N], first.ids_N, 7 + np.arange(len(first.ids_N)) % 30).astype(np.int32)
    other = tiny.window(objective.raw_length(L), row + 5000, documents=1 + row % 2)
    return (first._replace(ids_N=numbered), other)[: objective.num_windows]


def rows(objective, count=1500):
    for row in range(count):
        given = windows(objective, row)
        yield given, objective.prepare(given, host_generator(0, "prepare", row), VOCAB, L)


def halves(example):
    """What stood, before any of it was hidden, between [CLS], [SEP] and [SEP]."""
    ids = example["targets"][example["segments"] > 0].tolist()
    assert (ids[0], ids[-1], ids.count(VOCAB.sep)) == (VOCAB.cls, VOCAB.sep, 2)
    cut = ids.index(VOCAB.sep)
    types = example["token_types"][example["segments"] > 0].tolist()
    assert types == [0] * (cut + 1) + [1] * (len(ids) - cut - 1)
    assert not example["token_types"][example["segments"] == 0].any()
    return ids[1:cut], ids[cut + 1 : -1]


def text(window):
    """Ids of a window of one document without bos and eos, and where in them sentences start."""
    place = (window.segments_N > 0) & ~VOCAB.special_V[window.ids_N]
    return window.ids_N[place].tolist(), np.flatnonzero(window.sentences_N[place]).tolist()


@BOTH
def test_labels_and_masks_come_as_often_as_told(objective):
    hidden = maskable = labels = pairs = 0
    for _, example in rows(objective):
        hidden += int(example["weights"].sum())
        maskable += int((~VOCAB.special_V[example["targets"]] & (example["segments"] > 0)).sum())
        labels += int(example["pair"])
        pairs += int(example["pair_weights"])
    assert abs(hidden / maskable - 0.15) < 0.005  # each row's share is exact up to one token
    assert pairs > 1400
    assert tiny.likely(labels, pairs, 0.5)


def test_the_second_text_goes_on_or_is_another_documents_from_a_sentence_on():
    cuts, lengths = Counter(), ([], [])
    for (first, other), example in rows(NextSentence()):
        ids, starts = text(first)
        if not example["pair_weights"]:
            continue
        a, b = halves(example)
        assert ids[: len(a)] == a
        assert len(a) in starts
        cuts[starts.index(len(a)) / (len(starts) - 1) > 0.5] += 1
        longest = np.bincount(other.segments_N)[1:].argmax() + 1
        others, others_starts = text(other._replace(segments_N=np.where(other.segments_N == longest, 1, 0)))
        source, places = (others, others_starts) if example["pair"] else (ids, [len(a)])
        found = [start for start in places if source[start : start + len(b)] == b]
        assert found
        assert found[0] + len(b) < len(source)  # its own end would tell that it is no other's
        lengths[example["pair"].item()].append(len(a) + len(b))
        assert len(a) + len(b) <= len(ids)
    assert min(cuts[True], cuts[False]) > 300  # cuts lie everywhere
    means = [np.mean(some) for some in lengths]
    error = np.hypot(*(np.std(some) / len(some) ** 0.5 for some in lengths))
    assert abs(means[0] - means[1]) < 5 * error  # lengths tell nothing


def test_a_text_within_which_no_sentence_begins_takes_no_place():
    """Nor one that begins with a sentence and has no other: what goes on never begins a document."""
    ids_N, one_N = np.arange(10, 22, dtype=np.int32), np.ones(12, np.int32)
    first = Window(ids_N, one_N, np.arange(12, dtype=np.int32), ids_N == 15)
    for begins, weight in [(ids_N == 99, 0), (ids_N == 10, 0), (ids_N == 12, 1), (ids_N == 21, 0)]:
        other = first._replace(ids_N=ids_N + 20, sentences_N=begins)
        pair = NextSentence(random_rate=1.0).pair_of((first, other), host_generator(0, "prepare", 0), VOCAB)
        assert pair.weight == weight
        if weight:
            assert (pair.label, pair.second_N[0] - 20) == (1, ids_N[begins][0])
            assert 1 <= len(pair.second_N) < 7
    empty = NextSentence().pair_of((first, Window.empty(12)), host_generator(0, "prepare", 0), VOCAB)
    assert empty.weight == 0


def test_order_is_asked_of_whole_sentences_alone():
    swapped, cuts = 0, Counter()
    for (first,), example in rows(SentenceOrder()):
        ids, starts = text(first)
        if not example["pair_weights"]:
            assert len(starts) < 3
            continue
        a, b = halves(example)[:: -1 if example["pair"] else 1]
        begin = next(i for i in starts if ids[i : i + len(a + b)] == a + b)
        assert begin + len(a) in starts
        assert begin + len(a + b) in (*starts, len(ids))
        swapped += int(example["pair"])
        within = [i for i in starts if begin < i < begin + len(a + b)]
        if len(within) > 1:
            cuts[within.index(begin + len(a)) / (len(within) - 1) > 0.5] += 1
    assert swapped > 600
    assert min(cuts[True], cuts[False]) > 300  # they lie everywhere


def test_white_space_does_not_tell_the_order():
    """Both texts begin alike and end alike, with as much white space, and with none that is an id of its own."""
    spacing_V2 = np.stack([VOCAB.special_V * 0 + np.arange(VOCAB.size) % 5 - 1, np.arange(VOCAB.size) % 3], 1)
    spacing_V2[spacing_V2[:, 0] < 0] = -1
    vocab, without = replace(VOCAB, spacing_V2=spacing_V2), 0
    for row in range(600):
        given = tiny.window(SentenceOrder().raw_length(L), row, documents=1)
        example = SentenceOrder().prepare((given,), host_generator(0, "prepare", row), vocab, L)
        if not example["pair_weights"]:
            without += 1
            continue
        a, b = halves(example)
        assert spacing_V2[a[0], 0] == spacing_V2[b[0], 0] >= 0
        assert spacing_V2[a[-1], 1] == spacing_V2[b[-1], 1] >= 0
    assert without < 580


def test_a_window_that_is_cut_at_both_ends_gives_the_sentences_within():
    ids_N = np.arange(10, 22, dtype=np.int32)
    sentences_N = np.isin(ids_N, [12, 15, 19])
    window = Window(ids_N, np.ones(12, np.int32), np.arange(12, dtype=np.int32), sentences_N)
    objective = SentenceOrder(swap_rate=0.0)
    example = objective.prepare((window,), host_generator(0, "prepare", 0), VOCAB, 15)
    assert halves(example) == ([12, 13, 14], [15, 16, 17, 18])
    without = objective.prepare((window._replace(sentences_N=ids_N == 12),), host_generator(0, "prepare", 0), VOCAB, 15)
    assert without["targets"].tolist() == [VOCAB.cls, *range(10, 22), VOCAB.sep, 0]
    assert (without["pair_weights"], without["weights"].sum()) == (0, 2)  # no pair, but masks


@BOTH
@pytest.mark.parametrize("masking", [WholeWords(), Spans()])
def test_masking_is_that_of_the_masked_objective(objective, masking):
    objective = replace(objective, masking=masking, mask_rate=0.3)
    for given, example in list(rows(objective, 20)):
        pair = objective.pair_of(given, host_generator(0, "prepare", 0), VOCAB)
        assert pair.weight in (0, 1)
        hidden = np.flatnonzero(example["weights"])
        assert not VOCAB.special_V[example["targets"][hidden]].any()
        share = example["weights"].sum() / (~VOCAB.special_V[example["targets"]]).sum()
        assert 0 < share <= 0.3 + 1 / L or math.isclose(share, 0.3, abs_tol=0.05)


@BOTH
def test_a_tokenizer_without_marks(objective):
    name = type(objective).__name__
    for missing, words in [
        ({"cls": None}, "a [CLS] and a [SEP] token and the tokenizer has no [CLS]"),
        ({"cls": None, "sep": None}, "a [CLS] and a [SEP] token and the tokenizer has no [CLS] and [SEP]"),
        ({"mask": None}, "a [MASK] token and the tokenizer has none"),
    ]:
        with pytest.raises(ConfigError) as error:
            objective.check(replace(VOCAB, **missing), 16)
        assert str(error.value) == f"objective {name} needs {words}; use one that has"
    with pytest.raises(ConfigError) as error:
        objective.check(VOCAB, 4)
    assert str(error.value) == f"data.seq_len=4 is too short: objective {name} needs at least 5"


def test_shares_that_are_none():
    for make, key in [(NextSentence, "random_rate"), (SentenceOrder, "swap_rate")]:
        with pytest.raises(ConfigError) as error:
            make(**{key: 1.5})
        assert str(error.value) == f"objective.{key}=1.5 must be at least 0 and at most 1"
    with pytest.raises(ConfigError, match=r"objective.mask_rate=0 is not between"):
        NextSentence(mask_rate=0)
    assert not MaskedLM().heads


@pytest.mark.parametrize("text", ["It rained a lot. We left. They came. All of it.", "Zoe\n\n\nKim ran.\n\nZed"])
def test_white_space_that_is_a_token_of_its_own_is_left_out(text):
    tokenizer = Bytes().train(list)
    ((ids_N, starts),) = encode_sentences(tokenizer, [text], "en")
    starts_N = np.isin(np.arange(L), starts + 1)
    window = Window.of([tokenizer.vocab.framed(ids_N)], L)._replace(sentences_N=starts_N)
    for row in range(20):
        example = SentenceOrder().prepare((window,), host_generator(0, "prepare", row), tokenizer.vocab, L + 3)
        ids, types = example["targets"], example["token_types"]
        first, second = (tokenizer.decode(ids[(types == kind) & (example["segments"] > 0)]) for kind in (0, 1))
        assert example["pair_weights"]
        assert (first.strip(), second.strip()) == (first, second)
        assert " ".join((first, second)[:: -1 if example["pair"] else 1]).split() == text.split()


def test_a_leading_space_lets_a_text_be_cut_at_each_of_its_sentences():
    text = "They left the town. They came back. They sat."
    tokenizer = SentencePiece(vocab_size=300, model_type="bpe").train(lambda: [text] * 9)

    def cuts(document):
        ((ids_N, starts),) = encode_sentences(tokenizer, [document.text], "en")
        starts_N = np.isin(np.arange(L), starts + 1)
        window = Window.of([tokenizer.vocab.framed(ids_N)], L)._replace(sentences_N=starts_N)
        examples = [SentenceOrder().prepare((window,), host_generator(0, "prepare", row), tokenizer.vocab, L) for row in range(40)]
        return {int(example["token_types"].argmax()) for example in examples if example["pair_weights"]}

    document = Document.of("x", text)
    assert not cuts(document)
    assert len(cuts(*LeadingSpace()([document]))) == 4, "two places to cut, and the parts in either order"
