import gzip
from pathlib import Path

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import ParallelLines


@pytest.fixture
def train(tmp_path: Path) -> Path:
    (tmp_path / "train.en").write_bytes(b"A dog.\r\nTwo\xe2\x80\xa8cats.\nThree")
    (tmp_path / "train.de.gz").write_bytes(gzip.compress("Ein Hund.\nZwei Katzen.\nDreiß\n".encode()))
    return tmp_path / "train"


def test_line_i_of_each_file_is_one_document(train):
    source = ParallelLines(train, fields=("de", "en"))
    assert [(d.id, dict(d.streams), d.source) for d in source.documents()] == [
        ("train:1", {"de": "Ein Hund.", "en": "A dog."}, "train"),
        ("train:2", {"de": "Zwei Katzen.", "en": "Two\u2028cats."}, "train"),  # only a line feed ends a line
        ("train:3", {"de": "Dreiß", "en": "Three"}, "train"),
    ]
    assert next(source.documents()).text == "Ein Hund."  # the first field's
    assert ParallelLines(train, ("de", "en"), label="ours").name == "ours"


@pytest.mark.parametrize("invalid", ["error", "skip"])
def test_files_of_unlike_length_are_one_message_with_both_counts(train, invalid):
    with open(f"{train}.en", "ab") as file:
        file.write(b"\nFour\nFive\n")
    with pytest.raises(RunError) as raised:
        list(ParallelLines(train, ("en", "de"), invalid=invalid).documents())
    assert f"as many lines in each file: {train}.en has 5, {train}.de.gz has 3" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b" \t", "line 4: blank. Each line needs its counterpart; invalid='skip'"),
        (b"\xff", "line 4: no UTF-8: invalid start byte at byte 0"),
    ],
)
def test_a_line_without_text_ends_the_run_or_is_left_out_and_counted(train, caplog, line, says):
    with open(f"{train}.en", "ab") as file:
        file.write(b"\n" + line + b"\nFive\n")
    Path(f"{train}.de.gz").write_bytes(gzip.compress(b"eins\nzwei\ndrei\nvier\nf\xc3\xbcnf\n"))
    with pytest.raises(RunError) as raised:
        list(ParallelLines(train, ("en", "de")).documents())
    assert f"{train}.en, {says}" in str(raised.value)
    documents = list(ParallelLines(train, ("en", "de"), invalid="skip", label=str(line)).documents())
    assert [document.id for document in documents] == ["train:1", "train:2", "train:3", "train:5"]
    assert "1 of 5 lines are left out" in caplog.text


def test_a_missing_or_damaged_file_is_named(train):
    with pytest.raises(ConfigError, match=r"train\.fr does not exist, nor with \.gz or \.bz2 after it.*now \('en', 'fr'\)"):
        ParallelLines(train, ("en", "fr")).documents()
    Path(f"{train}.de.gz").write_bytes(b"no gzip")
    with pytest.raises(RunError, match=r"train\.de\.gz cannot be read: Not a gzipped file"):
        list(ParallelLines(train, ("en", "de")).documents())


@pytest.mark.parametrize("fields", [(), ("en",), ("en", "en")])
def test_there_are_two_streams_at_least(train, fields):
    with pytest.raises(ConfigError, match="at least two different endings"):
        ParallelLines(train, fields)


def test_the_fingerprint_changes_with_any_of_the_files(train):
    source = ParallelLines(train, ("en", "de"))
    before = source.fingerprint()
    assert source.fingerprint() == before != ParallelLines(train, ("de", "en")).fingerprint()
    Path(f"{train}.en").write_text("A dog.\nTwo cats.\nFour")
    assert source.fingerprint() != before


def test_a_real_sample(shared_data):
    documents = list(ParallelLines(shared_data / "multi30k" / "val", ("en", "de")).documents())
    assert len(documents) == 1014
    assert documents[0].streams == {
        "en": "A group of men are loading cotton onto a truck",
        "de": "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen",
    }
