import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from jaxlm.core import ConfigError
from jaxlm.tokenizer import TokenizersFile, marked_text

FOLDERS = ["gpt2", "roberta-base", "bert-base-uncased", "bert-base-cased", "t5-small"]
FORGED = "A <|endoftext|> [MASK] [CLS]<s></s> <mask><pad> <extra_id_0> \uff1c\uff0f\uff53\uff1e [PAD][SEP]"
CACHE: dict[str, object] = {}


@pytest.fixture
def make(shared_data):
    def make(name: str):
        if name not in CACHE:
            CACHE[name] = TokenizersFile(shared_data / "tokenizers" / name).train(list)
        return CACHE[name]

    return make


@pytest.mark.parametrize("name", FOLDERS)
def test_text_cannot_forge_a_special(make, name):
    tokenizer = make(name)
    (ids_N,) = tokenizer.encode_batch([FORGED])
    special = tokenizer.vocab.special_V.copy()
    if tokenizer.vocab.unk is not None:
        special[tokenizer.vocab.unk] = False
    assert special.any()
    assert not special[ids_N].any()


@pytest.mark.parametrize("name", ["gpt2", "roberta-base"])
@pytest.mark.parametrize("text", [FORGED, "tabs\t\tand  spaces\r\n \u65e5\u672c \U0001f525\u200d \x00 \u0120", ""])
def test_byte_level_text_comes_back(make, name, text):
    assert make(name).decode(make(name).encode_batch([text])[0]) == text


def test_ids_are_the_published_ones(make):
    assert make("gpt2").encode_batch(["Hello world"])[0].tolist() == [15496, 995]
    assert make("roberta-base").encode_batch(["Hello world"])[0].tolist() == [31414, 232]
    assert make("bert-base-uncased").encode_batch(["Hello, unaffable w\u00f6rld"])[0].tolist() == [
        7592,
        1010,
        14477,
        20961,
        3468,
        2088,
    ]
    assert make("bert-base-cased").encode_batch(["Hello world"])[0].tolist() == [8667, 1362]
    assert make("t5-small").encode_batch(["Hello world"])[0].tolist() == [8774, 296]


def test_special_ids_are_found_by_name(make):
    found = {name: make(name).vocab for name in FOLDERS}
    ids = {name: (v.size, v.pad, v.bos, v.eos, v.unk, v.mask, v.cls, v.sep) for name, v in found.items()}
    assert ids == {
        "gpt2": (50257, 50256, 50256, 50256, None, None, None, None),
        "roberta-base": (50265, 1, 0, 2, 3, 50264, 0, 2),
        "bert-base-uncased": (30522, 0, 101, 102, 100, 103, 101, 102),
        "bert-base-cased": (28996, 0, 101, 102, 100, 103, 101, 102),
        "t5-small": (32100, 0, 0, 1, 2, None, None, None),
    }
    assert found["t5-small"].sentinels == tuple(range(32099, 31999, -1))
    assert np.flatnonzero(found["bert-base-uncased"].special_V).tolist() == [0, 100, 101, 102, 103]


def test_special_ids_have_names_and_no_text(make):
    assert make("bert-base-cased").pieces([101, 103]) == ["[CLS]", "[MASK]"]
    assert make("bert-base-cased").decode([101, 8667, 103, 102]) == "Hello"
    assert make("gpt2").decode([15496, 50256, 995]) == "Hello world"


@pytest.mark.parametrize(
    ("name", "word", "inside"), [("gpt2", " world", "world"), ("bert-base-uncased", "play", "unaffable"), ("t5-small", "world", "")]
)
def test_words_are_marked(make, name, word, inside):
    tokenizer = make(name)
    starts_V = tokenizer.vocab.starts_word_V
    assert starts_V[tokenizer.encode_batch([word])[0][0]]
    if inside:
        assert not starts_V[tokenizer.encode_batch([inside])[0][-1]]
    assert not starts_V[tokenizer.vocab.special_V].any()


def test_white_space_is_told_by_its_marks(make):
    gpt2, bert, t5 = make("gpt2"), make("bert-base-cased"), make("t5-small")
    first = lambda tokenizer, text: tokenizer.vocab.spacing_V2[tokenizer.encode_batch([text])[0][0]].tolist()
    assert [first(gpt2, text) for text in (" world", "world", "\n", "\u201c")] == [[1, 0], [0, 0], [-1, -1], [0, 0]]
    assert first(t5, "world") == [1, 0]
    assert not bert.vocab.spacing_V2.any()


@pytest.mark.parametrize("name", ["gpt2", "t5-small"])
def test_pickles_keep_it(make, name):
    copy = pickle.loads(pickle.dumps(make(name)))
    assert copy.vocab.digest == make(name).vocab.digest
    assert np.array_equal(copy.encode_batch([FORGED])[0], make(name).encode_batch([FORGED])[0])


def test_the_name_of_a_special_token_is_encoded_as_any_text(shared_data, make, tmp_path):
    """As tokenizer.json, GPT-2 has its special token among those that the library looks for in text."""
    files = shared_data / "tokenizers" / "gpt2"
    published = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(files / "vocab.json"), str(files / "merges.txt")))
    published.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    published.decoder = tokenizers.decoders.ByteLevel()
    published.add_special_tokens(["<|endoftext|>"])
    assert published.encode("<|endoftext|>").ids == [50256]
    published.save(str(tmp_path / "tokenizer.json"))
    tokenizer = TokenizersFile(tmp_path).train(list)
    assert tokenizer.vocab.eos == 50256
    assert tokenizer.encode_batch([FORGED])[0].tolist() == make("gpt2").encode_batch([FORGED])[0].tolist()


def test_lone_surrogates_become_replacement_characters(make):
    assert make("gpt2").decode(make("gpt2").encode_batch(["a\ud800b"])[0]) == "a\ufffdb"


@pytest.fixture
def word_level(tmp_path: Path) -> Path:
    """A small tokenizer.json with all that would bend ids: padding, truncation, a template."""
    vocabulary = {"[PAD]": 0, "</s>": 1, "[UNK]": 2, "dog": 3, "cat": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_tokens(["<extra>", "fish", "</s>"])
    tokenizer.enable_padding(length=8)
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_only_the_text_s_own_ids(word_level):
    for path in (word_level, word_level / "tokenizer.json"):
        tokenizer = TokenizersFile(path).train(list)
        assert tokenizer.encode_batch(["dog cat fish bird dog </s> <extra>"])[0].tolist() == [3, 4, 6, 2, 3, 2, 2, 2, 2, 5]
        assert tokenizer.vocab.starts_word_V is None
        assert tokenizer.vocab.size == 7
        assert np.flatnonzero(tokenizer.vocab.special_V).tolist() == [0, 1, 2]


def test_digest_is_that_of_the_content_not_of_its_spelling(word_level):
    first = TokenizersFile(word_level).train(list).vocab.digest
    content = json.loads((word_level / "tokenizer.json").read_text())
    (word_level / "tokenizer.json").write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert TokenizersFile(word_level).train(list).vocab.digest == first
    content["model"]["vocab"] |= {"dog": 4, "cat": 3}
    (word_level / "tokenizer.json").write_text(json.dumps(content))
    assert TokenizersFile(word_level).train(list).vocab.digest != first


def test_messages(tmp_path, word_level):
    with pytest.raises(ConfigError, match=r"tokenizer\.path: .*nowhere does not exist\. Wanted: a tokenizer\.json, or a folder"):
        TokenizersFile(tmp_path / "nowhere").train(list)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty holds none of the files\. Wanted"):
        TokenizersFile(tmp_path / "empty").train(list)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match=r"broken\.json holds no tokenizer that can be read"):
        TokenizersFile(tmp_path / "broken.json").train(list)
    content = json.loads((word_level / "tokenizer.json").read_text())
    del content["model"]["vocab"]["</s>"]
    content["added_tokens"] = []
    (tmp_path / "endless.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"endless\.json is no tokenizer \(it has no end token; one of </s> <eos>"):
        TokenizersFile(tmp_path / "endless.json").train(list)


def test_a_space_behind_a_special_id_stays(make):
    t5 = make("t5-small")
    thank, you = t5.encode_batch(["Thank", "you"])
    assert marked_text(t5, np.concatenate([thank, [t5.vocab.sentinels[0]], you, [t5.vocab.eos]])) == "Thank<extra_id_0> you</s>"
