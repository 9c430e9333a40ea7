import json
from pathlib import Path

import numpy as np
import pytest

from jaxlm.core import RunError
from jaxlm.tokenizer import Bytes, Characters, SentencePiece, TokenizersFile, load_tokenizer
from jaxlm.tokenizer.folder import DESCRIPTION

TEXT = ["Some text of the corpus \u00e9 \u2581\n" * 9]


def make(kind: str, folder: Path):
    if kind == "tokenizers":
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nsome\ntext\n##s\n")
        return TokenizersFile(folder).train(list)
    configs = {"bytes": Bytes(num_sentinels=3), "characters": Characters(num_sentinels=3), "sentencepiece": SentencePiece(300)}
    return configs[kind].train(lambda: TEXT)


every = pytest.mark.parametrize("kind", ["bytes", "characters", "sentencepiece", "tokenizers"])


@every
def test_a_saved_tokenizer_is_the_same_when_loaded(kind, tmp_path):
    tokenizer = make(kind, tmp_path)
    tokenizer.save(tmp_path / "run" / "tokenizer")
    loaded = load_tokenizer(tmp_path / "run" / "tokenizer")
    assert type(loaded) is type(tokenizer)
    assert loaded.vocab.digest == tokenizer.vocab.digest
    assert loaded.vocab.sentinels == tokenizer.vocab.sentinels
    assert np.array_equal(loaded.encode_batch(TEXT)[0], tokenizer.encode_batch(TEXT)[0])


@every
def test_a_tokenizer_that_is_not_the_one_saved_is_refused(kind, tmp_path):
    make(kind, tmp_path).save(tmp_path / "saved")
    path = tmp_path / "saved" / DESCRIPTION
    description = json.loads(path.read_text())
    description["digest"] = "0" * 64
    path.write_text(json.dumps(description))
    with pytest.raises(RunError, match=r"saved: the tokenizer is not the one that was saved .* Restore the files"):
        load_tokenizer(tmp_path / "saved")


def test_another_model_file_is_refused(tmp_path):
    make("sentencepiece", tmp_path).save(tmp_path / "a")
    SentencePiece(300).train(lambda: ["Other text. "]).save(tmp_path / "b")
    (tmp_path / "b" / "sentencepiece.model").replace(tmp_path / "a" / "sentencepiece.model")
    with pytest.raises(RunError, match="is not the one that was saved"):
        load_tokenizer(tmp_path / "a")


@pytest.mark.parametrize(("kind", "file"), [("sentencepiece", "sentencepiece.model"), ("tokenizers", "tokenizer.json")])
def test_a_missing_or_broken_file_is_named(kind, file, tmp_path):
    make(kind, tmp_path).save(tmp_path / "saved")
    (tmp_path / "saved" / file).write_text("no")
    with pytest.raises(RunError, match=rf"{file} is no .*Restore it"):
        load_tokenizer(tmp_path / "saved")
    (tmp_path / "saved" / file).unlink()
    with pytest.raises(RunError, match=rf"{file} cannot be read \(No such file or directory\)\. Restore it"):
        load_tokenizer(tmp_path / "saved")


def test_bad_descriptions_are_named(tmp_path):
    path = tmp_path / DESCRIPTION
    with pytest.raises(RunError, match=r"jaxlm_tokenizer\.json does not exist: this folder holds no tokenizer"):
        load_tokenizer(tmp_path)
    path.write_text("{")
    with pytest.raises(RunError, match=r"jaxlm_tokenizer\.json is broken"):
        load_tokenizer(tmp_path)
    for text, lacking in {
        '{"format": 1}': "digest, fields, kind",
        '{"format": 1, "kind": {}, "digest": 3, "fields": {}}': "digest, kind",
    }.items():
        path.write_text(text)
        with pytest.raises(RunError, match=rf"jaxlm_tokenizer\.json is broken \(it lacks {lacking}\)"):
            load_tokenizer(tmp_path)
    path.write_text('{"format": 2, "kind": "bytes", "digest": "", "fields": {}}')
    with pytest.raises(RunError, match=r"has format 2, this jaxlm reads 1"):
        load_tokenizer(tmp_path)
    path.write_text('{"format": 1, "kind": "byte", "digest": "", "fields": {}}')
    with pytest.raises(RunError, match=r"the kind of tokenizer 'byte' is unknown\. Did you mean 'bytes'\?"):
        load_tokenizer(tmp_path)
    path.write_text('{"format": 1, "kind": "bytes", "digest": "", "fields": {"sentinels": 1}}')
    with pytest.raises(RunError, match=r"jaxlm_tokenizer\.json is broken"):
        load_tokenizer(tmp_path)
