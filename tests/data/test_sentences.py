"""Sentences: where they start in text and in ids, and how a store keeps them."""

import json
import sys

import numpy as np
import pytest

from jaxlm.core import ConfigError, Document, RunError
from jaxlm.data import WindowReader, open_store, pack, sentences, verify_store, write_store
from jaxlm.data.sentences import encode_sentences, sentence_starts
from jaxlm.data.store import tokens_digest
from jaxlm.data.store_writer import write_store as writer
from jaxlm.tokenizer import Bytes, Characters, HuggingFaceTokenizer, SentencePiece

TEXT = (
    'Mr. Smith arrived at 5 p.m. on Monday. "Is it late?" he asked.  Nobody\nanswered, e.g. the cat.\r\n\r\n'
    "A  heading\n\n\nÉcole! 漢字。 The \u2581 sign \ud800 is odd. Last one\n"
)
STARTS = ["Mr. Smith", '"Is it', "Nobody", "A  heading", "École!", "漢字", "The \u2581", "Last one"]


def test_sentences_of_a_text():
    starts = sentence_starts(TEXT, "en").tolist()
    assert [TEXT[start:].startswith(words) for start, words in zip(starts, STARTS, strict=True)] == [True] * len(STARTS)
    assert not sentence_starts(" \n\n ", "en").size
    assert len(sentence_starts("Ja am 3. Mai. Gut.", "de")) == 2 < len(sentence_starts("Ja am 3. Mai. Gut.", "en"))


def test_long_texts_are_cut_in_stretches_and_no_sentence_with_them(monkeypatch):
    text = "".join(f"Number {i} is a sentence. " for i in range(200)) + "x" * 300 + " goes on and on " * 20
    whole = sentence_starts(text, "en").tolist()
    assert len(whole) == 201
    monkeypatch.setattr(sentences, "STRETCH", 100)
    assert sentence_starts(text, "en").tolist() == whole


def word_piece():
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "mr",
        ".",
        "##.",
        "the",
        "is",
        "it",
        "late",
        "?",
        '"',
        "a",
        "last",
        "one",
    ]
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    return HuggingFaceTokenizer(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [],
                "normalizer": normalizer,
                "pre_tokenizer": {"type": "BertPreTokenizer"},
                "post_processor": None,
                "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
                "model": {**model, "vocab": {word: i for i, word in enumerate(words)}},
            }
        )
    )


def byte_level():
    import tokenizers

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: i for i, name in enumerate(["<|endoftext|>", *alphabet, "Ġi", "Ġis"])}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False}
    merges = [["Ġ", "i"], ["Ġi", "s"]]
    parts = {"pre_tokenizer": level, "decoder": level, "normalizer": None, "post_processor": None, "added_tokens": []}
    return HuggingFaceTokenizer(
        json.dumps({"version": "1.0", **parts, "model": {**model, "byte_fallback": False, "vocab": vocabulary, "merges": merges}})
    )


TOKENIZERS = {
    "bytes": lambda: Bytes().train(list),
    "characters": lambda: Characters().train(lambda: [TEXT]),
    "sentencepiece": lambda: SentencePiece(vocab_size=330, model_type="bpe").train(lambda: [TEXT * 20]),
    "wordpiece": word_piece,
    "byte level": byte_level,
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_each_tokenizer_finds_the_ids_that_start_them_and_its_ids_stay(kind):
    tokenizer = TOKENIZERS[kind]()
    texts = [TEXT, "", "One.", TEXT[::-1]]
    found = encode_sentences(tokenizer, texts, "en")
    for (ids_N, starts), plain_N in zip(found, tokenizer.encode_batch(texts), strict=True):
        np.testing.assert_array_equal(ids_N, plain_N)
        assert ids_N.dtype == plain_N.dtype
        assert (np.diff(starts) > 0).all()
    ids_N, starts = found[0]
    assert len(starts) == len(STARTS)
    if kind == "wordpiece":  # not lossless: by what its ids say
        pieces = tokenizer.pieces(ids_N)
        assert [pieces[i] for i in starts] == ["mr", '"', "[UNK]", "a", "[UNK]", "[UNK]", "the", "last"]
        return
    text = TEXT.replace("\ud800", "\ufffd") if kind == "byte level" else TEXT
    decoded = [tokenizer.decode(ids_N[start:]) for start in starts]  # what stands before a start is white space at most
    shown = [words.replace("\ud800", "\ufffd") for words in STARTS]
    assert all(part.lstrip().startswith(words) for part, words in zip(decoded, shown, strict=True))
    assert all(text.endswith(part) for part in decoded)


def documents(count=12):
    return [(Document.of(str(i), f"First of {i}. Then a second one. And the third.", "books"), i % 4 == 3) for i in range(count)]


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store", documents(), Bytes().train(list), sentences="en", shard_tokens=100)


@pytest.mark.parametrize("kind", ["windows", "documents", "best_fit"])
def test_windows_carry_them(store, kind):
    part = store.part("train", "books")
    reader = WindowReader(part, pack(part, kind, 20, 1), 20)
    seen = set()
    for i in range(len(reader)):
        window = reader.window(i)
        tokens = [t for start, stop in reader.packing.pieces(i) for t in range(start, stop)]
        told = [token for token, starts in zip(tokens, window.sentences_N, strict=False) if starts]
        assert told == [token for token in tokens if token in set(part.sentence_starts.tolist())]
        assert not window.sentences_N[window.segments_N == 0].any()
        assert window.cut(7).sentences_N.tolist() == window.sentences_N[:7].tolist()
        seen |= set(told)
    assert len(seen) == part.num_sentences == 27
    texts = [part.ids(int(t), int(t) + 3).tolist() for t in part.sentence_starts]
    assert {Bytes().train(list).decode(ids) for ids in texts} == {"Fir", "The", "And"}


def test_a_store_without_is_what_it_was(tmp_path, store):
    plain = write_store(tmp_path / "plain", documents(), Bytes().train(list), shard_tokens=100)
    assert plain.digest != store.digest  # where sentences start is part of what is trained on
    assert plain.parts[0].num_sentences is None
    reader = WindowReader(plain.parts[0], pack(plain.parts[0], "windows", 20, 1), 20)
    assert reader.window(0).sentences_N is None
    assert "sentences" not in json.loads((plain.path / "header.json").read_text())
    assert (plain.parts[0].ids(0, 200) == store.parts[0].ids(0, 200)).all()


def test_a_build_that_was_cut_off_goes_on_with_them(tmp_path, store):
    class Fails:
        def __init__(self):
            self.inner, self.left = Bytes().train(list), 6
            self.vocab = self.inner.vocab

        def encode_with_ends(self, texts):
            self.left -= len(texts)
            if self.left < 0:
                raise RuntimeError("the power went out")
            return self.inner.encode_with_ends(texts)

    from jaxlm.data import store_writer

    kept, store_writer.BATCH_DOCUMENTS = store_writer.BATCH_DOCUMENTS, 2
    try:
        with pytest.raises(RuntimeError, match="power"):
            writer(tmp_path / "again", documents(), Fails(), sentences="en", shard_tokens=100, commit_seconds=0)
        again = writer(tmp_path / "again", documents(), Bytes().train(list), sentences="en", shard_tokens=100)
    finally:
        store_writer.BATCH_DOCUMENTS = kept
    assert again.digest == store.digest
    assert [part.num_sentences for part in again.parts] == [part.num_sentences for part in store.parts]


def test_a_damaged_file_of_sentences_is_found(store):
    file = store.path / "0.train.books" / "0.text.sentences"
    whole = file.read_bytes()
    file.write_bytes(whole[:-8])
    with pytest.raises(RunError, match=rf"{file} has {len(whole) - 8} bytes where {len(whole)} were written"):
        open_store(store.path)
    file.write_bytes(whole[:8] + b"\1" + whole[9:])
    with pytest.raises(RunError, match=rf"{file}, block 0 .* is not what was written"):
        verify_store(store.path)
    file.write_bytes(whole)
    assert verify_store(store.path).digest == store.digest


def test_sentences_out_of_place_are_found_also_where_every_checksum_agrees(store):
    from jaxlm.data.blocks import BlockWriter

    file = store.path / "0.train.books" / "0.text.sentences"
    starts = np.fromfile(file, "<i8")
    starts[4] = starts[3]
    block = BlockWriter(file)
    block.write(starts.tobytes())
    block.close()
    header = json.loads((store.path / "header.json").read_text())
    header["parts"][0]["files"]["0.text.sentences"] = block.record()
    (store.path / "header.json").write_text(json.dumps({**header, "digest": tokens_digest(header)}))
    with pytest.raises(RunError, match=r"0\.train\.books: sentence 4 starts before the one in front of it, or in no text; delete"):
        verify_store(store.path)


def test_without_the_library_there_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencex", None)
    with pytest.raises(ConfigError, match=r"objective.sentences: .* package sentencex, .*\. pip install sentencex"):
        write_store(tmp_path / "store", documents(), Bytes().train(list), sentences="en")
    assert write_store(tmp_path / "plain", documents(), Bytes().train(list)).digest
