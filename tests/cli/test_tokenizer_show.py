"""`jaxlm tokenizer show`."""

import json
from pathlib import Path

import pytest

from jaxlm.cli.main import main
from jaxlm.tokenizer.characters import Characters
from jaxlm.tokenizer.sentencepiece import SentencePiece


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "run/tokenizer").mkdir(parents=True)
    (tmp_path / "run/config.json").write_text("{}")
    Characters().train(lambda: ["abc"]).save(tmp_path / "run/tokenizer")
    return str(tmp_path / "run")


def test_tokens_and_ids(capsys, run_dir):
    assert main(["tokenizer", "show", run_dir, "--text", "cab", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["text"] == "cab"
    assert result["pieces"] == ["c", "a", "b"]
    assert [line.split() for line in err.splitlines()[:3]] == [
        [str(number), piece] for number, piece in zip(result["ids"], "cab", strict=True)
    ]
    assert err.splitlines()[3] == f"3 tokens, 3 bytes; a vocabulary of {result['vocab_size']}"


def test_starts_of_words(capsys, run_dir):
    SentencePiece(vocab_size=330).train(lambda: ["the cat sat on the mat. the mat sat on the cat.\n" * 20]).save(
        Path(run_dir) / "tokenizer"
    )
    assert main(["tokenizer", "show", run_dir, "--text", "the cat, the mat"]) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    marked = [line.split()[-1] for line in rows if " * " in line]
    assert [piece[0] for piece in marked] == ["\u2581"] * 3
    assert last.endswith("; * starts a word")


def test_no_run(capsys):
    assert main(["tokenizer", "show", "nowhere", "--text", "a"]) == 2
    assert capsys.readouterr().err.startswith("RUN: nowhere does not exist")
    assert not Path("nowhere").exists()
    assert main(["tokenizer", "show", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith(
        "jaxlm tokenizer show: --text is missing. Allowed: jaxlm tokenizer show RUN --text TEXT"
    )
