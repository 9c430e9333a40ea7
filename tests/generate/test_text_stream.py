"""Text that comes token by token joins to the text of all tokens."""

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from jaxlm.generate import TextStream
from jaxlm.tokenizer import Bytes, HuggingFaceTokenizer, SentencePiece

TEXT = "the cat sat on the mat. der große Käfig — 日本語 🙂 the mat, the cat  (the end)\n" * 8


def metaspace():
    """Drops the space at the very start when it decodes, as Llama's and T5's do."""
    words = ["<unk>", "</s>", "\u2581the", "\u2581cat", "\u2581sat", "s", "\u2581", ".", "t", "h", "e"]
    tokenizer = tokenizers.Tokenizer(models.Unigram([(word, -float(i)) for i, word in enumerate(words)], 0, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return HuggingFaceTokenizer(tokenizer.to_str())


@pytest.fixture(scope="module")
def pieces():
    return SentencePiece(vocab_size=400).train(lambda: [TEXT])


def parts(tokenizer, ids, before=()):
    stream = TextStream(tokenizer, before)
    return [*(stream.push(int(id)) for id in ids), stream.end()]


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=20))
def test_any_text_in_whole_characters(pieces, text):
    for tokenizer in (Bytes().train(list), pieces):
        (ids,) = tokenizer.encode_batch([text])
        found = parts(tokenizer, ids)
        assert "".join(found) == text
        if "\ufffd" not in text:
            assert "\ufffd" not in "".join(found)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_ids(pieces, data):
    ids = data.draw(st.lists(st.integers(0, pieces.vocab.size - 1), max_size=30))
    text = pieces.decode(ids)
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert "".join(parts(pieces, ids)) == text


def test_a_character_comes_whole_and_at_once():
    tokenizer = Bytes().train(list)
    (ids,) = tokenizer.encode_batch(["aé🙂!"])
    assert parts(tokenizer, ids) == ["a", "", "é", "", "", "", "🙂", "!", ""]
    assert parts(tokenizer, ids[:4]) == ["a", "", "é", "", "\ufffd"], "what stays incomplete is shown at the end"
    stream = TextStream(tokenizer)
    assert stream.push(int(ids[1]), last=True) == "\ufffd"


def test_spaces_of_sentencepiece(pieces):
    (before,), (ids,) = pieces.encode_batch(["the"]), pieces.encode_batch([" cat sat"])
    assert "".join(parts(pieces, ids, before)) == " cat sat"
    assert parts(pieces, ids, before)[0].startswith(" ")


def test_a_space_that_decoding_drops_at_the_start():
    tokenizer = metaspace()
    before, ids = np.split(tokenizer.encode_batch(["the cat sat the cats."])[0], [1])
    assert not tokenizer.decode(ids).startswith(" ")
    assert "".join(parts(tokenizer, ids, before)) == " cat sat the cats."
    assert "".join(parts(tokenizer, [*before, *ids])) == "the cat sat the cats."


def test_special_ids_add_nothing(pieces):
    (ids,) = pieces.encode_batch(["the cat"])
    assert "".join(parts(pieces, [*ids[:1], pieces.vocab.bos, *ids[1:], pieces.vocab.eos])) == "the cat"
