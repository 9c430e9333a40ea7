"""What the ending of a run reads from the held-out text."""

import math

import pytest

from jaxlm.core import Document
from jaxlm.data import write_store
from jaxlm.report.held_out import first_words, gaps, openings, texts, unigram_nats
from jaxlm.tokenizer import Characters, SentencePiece

SENTENCE = "the cat sat on the mat and the dog sat on the floor"


def store(folder, tokenizer, held_out):
    documents = [(Document.of("train", "training text"), False)]
    documents += [(Document.of(f"held out {k}", text), True) for k, text in enumerate(held_out)]
    return write_store(folder, documents, tokenizer)


@pytest.fixture(scope="module")
def characters():
    return Characters().train(lambda: ["abcdefghijklmnopqrstuvwxyz ."])


@pytest.fixture(scope="module")
def pieces():
    return SentencePiece(vocab_size=330).train(lambda: [f"{SENTENCE}.\n" * 20])


def test_the_entropy_is_that_of_the_ordinary_tokens_of_all_documents(tmp_path, characters):
    held_out = store(tmp_path / "store", characters, ["aa", "ab"])
    assert unigram_nats(held_out, characters) == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), rel=1e-12)


def test_texts_come_back_as_they_were(tmp_path, characters):
    held_out = store(tmp_path / "store", characters, ["one", "two words"])
    assert list(texts(held_out, characters, "validation")) == ["one", "two words"]


def test_openings_are_whole_words_of_different_documents(tmp_path, characters):
    held_out = store(tmp_path / "store", characters, [f"{letter} {SENTENCE} {SENTENCE}" for letter in "xyz"])
    found = openings(held_out, characters, 3)
    assert [text[0] for text in found] == ["x", "y", "z"]
    assert all(len(text) <= 48 for text in found)
    assert all(f" {SENTENCE} ".startswith(f"{text[1:]} ") for text in found)


def test_first_words_are_neighbours_of_letters_alone_where_there_are_some(tmp_path, characters):
    held_out = store(tmp_path / "store", characters, ["one", "one two three"])
    assert first_words(held_out, characters, 3) == ["one", "two", "three"]
    assert first_words(held_out, characters, 4) == ["one", "two", "three"]
    assert first_words(store(tmp_path / "short", characters, ["a"]), characters, 2) == ["a"]


def test_a_gap_hides_one_word_and_nothing_else(tmp_path, pieces):
    held_out = store(tmp_path / "store", pieces, [SENTENCE])
    ((prompt, word),) = gaps(held_out, pieces, 1)
    assert prompt.count("[MASK]") == 1
    assert prompt.replace("[MASK]", word) == SENTENCE


def test_no_gap_where_no_sentence_is_long_enough(tmp_path, pieces):
    assert gaps(store(tmp_path / "store", pieces, ["too short"]), pieces, 3) == []
