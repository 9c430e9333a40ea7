"""The laws that hold for each tokenizer that is trained here: SentencePiece, characters, bytes."""

import pickle
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jaxlm.core import ConfigError, RunError
from jaxlm.tokenizer import Bytes, Characters, SentencePiece, TokenizerConfig, marked_text
from jaxlm.tokenizer.ids import SPECIALS

CONFIGS: dict[str, TokenizerConfig] = {
    "unigram": SentencePiece(vocab_size=600, num_sentinels=2),
    "bpe": SentencePiece(vocab_size=600, model_type="bpe", num_sentinels=2),
    "characters": Characters(num_sentinels=2),
    "bytes": Bytes(num_sentinels=2),
}
TEXT = [
    "def load(path):\n    return open(path).read()\n\n",
    "The quick brown fox\tjumps  over the lazy dog. \u00c9t\u00e9, \u65e5\u672c\u8a9e!\n" * 3,
    string.printable * 2,
    "<pad> <unk> <s> </s> [MASK] [CLS] [SEP] <extra_id_0> <0x41> " * 20,
]
CACHE: dict[str, object] = {}


def texts() -> list[str]:
    return TEXT * 10


def make(name: str):
    if name not in CACHE:
        CACHE[name] = CONFIGS[name].train(texts)
    return CACHE[name]


every = pytest.mark.parametrize("name", list(CONFIGS))
lossless = pytest.mark.parametrize("name", ["unigram", "bpe", "bytes"])
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)  # lone surrogates too
odd = st.lists(
    st.sampled_from([*SPECIALS, *"\u2581 \t\n\r\0\x0b\u2028\ufeff\u200d\ud800\udfffe\u0301\U0001f525", "<0x41>", "word "])
).map("".join)


@lossless
@given(st.one_of(anything, odd))
@example("a\u2581b \u2581\u2581 c")
@example("x\ud83d\ude00\udc00 y")
@example(" \x00 \t\n\r\n  ")
@example("\uff46\uff55\uff4c\uff4c \u0065\u0301 \u00e9 \u2585 \u2047")
def test_any_text_comes_back(name, text):
    tokenizer = make(name)
    (ids_N,) = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids_N) == text
    assert not tokenizer.vocab.special_V[ids_N].any()


@lossless
def test_text_longer_than_one_stretch_comes_back(name):
    for text in (
        "word " * 3000,
        "x" * 5000,
        " " * 5000,
        "\u2581" * 3000 + "\u65e5" * 3000,
        "ends in spaces" + " " * 995,
        "\n" * 2500,
    ):
        assert make(name).decode(make(name).encode_batch([text])[0]) == text


@given(st.text(st.sampled_from("".join(sorted(set("".join(TEXT)))))))
def test_characters_come_back_where_they_are_known(text):
    (ids_N,) = make("characters").encode_batch([text])
    assert make("characters").decode(ids_N) == text
    assert len(ids_N) == len(text)


@pytest.mark.parametrize("unknown", ["\u20ac", "\x01", "\U0001f525", "\ud800"])
def test_unknown_characters_are_unk(unknown):
    tokenizer = make("characters")
    assert tokenizer.encode_batch([f"a{unknown}b"])[0].tolist()[1] == tokenizer.vocab.unk == 1
    assert tokenizer.decode(tokenizer.encode_batch([f"a{unknown}b"])[0]) == "ab"


def test_all_characters_but_the_known_ones_are_unk():
    tokenizer = make("characters")
    every_code = "".join(map(chr, range(0x110000)))
    (ids_N,) = tokenizer.encode_batch([every_code])
    known = np.flatnonzero(ids_N != tokenizer.vocab.unk)
    assert "".join(map(chr, known)) == tokenizer.alphabet


@every
def test_special_ids_are_those_asked_for(name):
    vocab = make(name).vocab
    assert (vocab.pad, vocab.unk, vocab.bos, vocab.eos, vocab.mask, vocab.cls, vocab.sep) == (0, 1, 2, 3, 4, 5, 6)
    assert vocab.sentinels == (7, 8)
    assert np.flatnonzero(vocab.special_V).tolist() == list(range(9))
    assert len(vocab.special_V) == vocab.size
    assert make(name).pieces(range(9)) == [*SPECIALS, "<extra_id_0>", "<extra_id_1>"]
    assert make(name).decode(range(9)) == ""


@every
def test_text_cannot_forge_a_special(name):
    text = "<pad> <unk> <s></s>[MASK][CLS] [SEP]<extra_id_0>"
    tokenizer = make(name)
    (ids_N,) = tokenizer.encode_batch([text])
    assert not tokenizer.vocab.special_V[ids_N].any()
    assert tokenizer.decode(ids_N) == text


@every
def test_batch_equals_one_by_one_in_the_smallest_type(name):
    batch = [*TEXT, "", "\u2581", TEXT[0]]
    together = make(name).encode_batch(batch)
    assert all(ids_N.dtype == np.uint16 and ids_N.ndim == 1 for ids_N in together)
    assert all(np.array_equal(ids_N, make(name).encode_batch([text])[0]) for ids_N, text in zip(together, batch, strict=True))
    assert make(name).encode_batch([]) == []


@every
def test_training_is_deterministic_and_pickles_keep_it(name):
    tokenizer, again = make(name), CONFIGS[name].train(texts)
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert tokenizer.vocab.digest == again.vocab.digest == copy.vocab.digest
    assert all(np.array_equal(a, b) for a, b in zip(tokenizer.encode_batch(TEXT), copy.encode_batch(TEXT), strict=True))


def test_digests_tell_tokenizers_apart():
    others = [
        SentencePiece(vocab_size=600),
        SentencePiece(vocab_size=400, model_type="bpe", num_sentinels=2),
        Characters(),
        Characters(num_sentinels=3),
        Bytes(),
    ]
    digests = [make(name).vocab.digest for name in CONFIGS] + [config.train(texts).vocab.digest for config in others]
    digests.append(Characters(num_sentinels=2).train(lambda: ["other characters"]).vocab.digest)
    assert len(set(digests)) == len(digests)


def test_another_process_trains_the_same():
    code = "from test_trained import CONFIGS, texts\nfor config in CONFIGS.values(): print(config.train(texts).vocab.digest)"
    path = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[2])!r}]\n"
    printed = subprocess.run([sys.executable, "-c", path + code], check=True, capture_output=True, text=True).stdout.split()
    assert printed == [make(name).vocab.digest for name in CONFIGS]


@lossless
def test_bytes_that_are_no_text_become_replacement_characters(name):
    tokenizer = make(name)
    (ids_N,) = tokenizer.encode_batch(["\ud800"])  # three bytes
    assert len(ids_N) == 3
    assert tokenizer.decode(ids_N[:2]) == "\ufffd\ufffd"
    assert tokenizer.pieces(ids_N) == ["<0xED>", "<0xA0>", "<0x80>"]


@every
def test_no_text_is_one_message(name):
    if name == "bytes":
        assert CONFIGS[name].train(list).vocab.size == 265
        return
    with pytest.raises(RunError, match=r"tokenizer: there is no text to .* Check data\.sources"):
        CONFIGS[name].train(lambda: ["", ""])


@pytest.mark.parametrize("config", [SentencePiece(num_sentinels=-1), Characters(num_sentinels=-1), Bytes(num_sentinels=-1)])
def test_negative_sentinels(config):
    with pytest.raises(ConfigError, match=r"tokenizer\.num_sentinels: -1 is negative"):
        config.train(texts)


@every
def test_special_ids_are_told_by_name_where_they_stand(name):
    tokenizer = make(name)
    vocab = tokenizer.vocab
    before_N, after_N = tokenizer.encode_batch(["The quick", " brown fox"])
    ids_N = np.concatenate([[vocab.bos], before_N, [vocab.mask, vocab.sentinels[1]], after_N, [vocab.eos]]).astype(int)
    assert marked_text(tokenizer, ids_N) == "<s>The quick[MASK]<extra_id_1> brown fox</s>"
