import numpy as np
import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.tokenizer import SentencePiece
from jaxlm.tokenizer.ids import spacing
from jaxlm.tokenizer.sentencepiece import _sample, _stretches

TEXT = [
    "It is a truth universally acknowledged, that a single man in possession of a good fortune\nmust be in want of a wife.\n"
] * 5


def test_vocabulary_is_at_most_what_was_asked():
    size = SentencePiece(vocab_size=8000).train(lambda: TEXT).vocab.size
    assert 263 < size < 8000
    assert SentencePiece(vocab_size=310, model_type="bpe").train(lambda: TEXT).vocab.size == 310


def test_words_are_marked_by_the_white_space_before_them():
    tokenizer = SentencePiece(vocab_size=400).train(lambda: TEXT)
    (ids_N,) = tokenizer.encode_batch(["that a man"])
    starts_N = tokenizer.vocab.starts_word_V[ids_N]
    assert [piece.startswith("\u2581") for piece in tokenizer.pieces(ids_N)] == starts_N.tolist()
    assert starts_N.sum() == 2
    newline = tokenizer.encode_batch(["\n"])[0]
    assert tokenizer.vocab.starts_word_V[newline].all()
    assert not tokenizer.vocab.starts_word_V[:7].any()


def test_white_space_at_the_ends_of_ids_is_told():
    tokenizer = SentencePiece(vocab_size=400).train(lambda: TEXT)
    told = dict(zip(tokenizer.pieces(range(tokenizer.vocab.size)), tokenizer.vocab.spacing_V2.tolist(), strict=True))
    assert (told["\u2581"], told["\u2581a"], told["a"], told["[SEP]"]) == ([-1, -1], [1, 0], [0, 0], [0, 0])
    assert spacing([" a", "a\n", "\r\n\r\na b ", ".\n \n\n", "\n\n", ""]).tolist() == [
        [1, 0],
        [0, 2],
        [3, 1],
        [0, 3],
        [-1, -1],
        [0, 0],
    ]


def test_long_text_is_encoded_as_its_words_would_be():
    """The library's float32 sums over a whole text would choose other pieces in its later part."""
    tokenizer = SentencePiece(vocab_size=400).train(lambda: TEXT)
    line = TEXT[0].replace("\n", " ") * 300
    words = ["a", *(" " + word for word in line.split())]
    together = tokenizer.encode_batch(["".join(words)])[0]
    assert np.array_equal(together, np.concatenate(tokenizer.encode_batch(words)))


def test_stretches_lose_nothing_and_end_before_a_space():
    text = "some words of text, " * 400 + "x" * 2500 + "\u2581\u2581 end"
    parts = list(_stretches(text))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= 1000
    assert all(after.startswith(" ") for after in parts[1:8])


def test_nothing_is_dropped_in_training_however_long_the_text():
    """The library drops what is longer than max_sentence_length without a word."""
    tokenizer = SentencePiece(vocab_size=300, model_type="bpe").train(lambda: ["abcd " * 50_000 + "\u00e9clair " * 20_000])
    assert "\u2581\u00e9clair" in tokenizer.pieces(range(tokenizer.vocab.size))


def test_sample_is_bounded_even_and_fixed():
    texts = [f"{i:04d} " * 300 for i in range(100)]
    total = sum(map(len, texts))
    assert "".join(_sample(lambda: texts, total)) == "".join(texts)
    part = list(_sample(lambda: texts, total // 10))
    assert part == list(_sample(lambda: texts, total // 10))
    assert 0.08 * total < sum(map(len, part)) <= total // 10
    numbers = [int(text.split()[0]) for text in part if text.strip()]
    assert np.histogram(numbers, bins=5, range=(0, 100))[0].min() >= 2
    config = SentencePiece(vocab_size=290, max_train_bytes=5000)
    assert config.train(lambda: texts).vocab.digest != SentencePiece(vocab_size=290).train(lambda: texts).vocab.digest


def test_messages():
    with pytest.raises(ConfigError, match=r"tokenizer\.vocab_size: 200 leaves no room for text: .* take 263\. Use at least 363"):
        SentencePiece(vocab_size=200).train(lambda: TEXT)
    with pytest.raises(ConfigError, match=r"tokenizer\.vocab_size: 264 does not fit this text \(.*\)\. Use a larger one"):
        SentencePiece(vocab_size=264).train(lambda: TEXT)
    with pytest.raises(ConfigError, match=r"tokenizer\.model_type: 'word' is unknown\. Allowed: bpe, unigram"):
        SentencePiece(model_type="word").train(lambda: TEXT)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="there is no text to train on"):
        SentencePiece(max_train_bytes=0).train(lambda: TEXT)


def test_an_error_of_the_source_is_not_swallowed():
    def broken():
        yield "text"
        raise RunError("a.txt is not utf-8")

    with pytest.raises(RunError, match=r"a\.txt is not utf-8"):
        SentencePiece().train(broken)
