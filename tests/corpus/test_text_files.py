import bz2
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import TextFiles


@pytest.fixture
def books(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    (folder / "old").mkdir(parents=True)
    (folder / "b.txt").write_bytes(b"second\r\nline\n")
    (folder / "a.md.gz").write_bytes(gzip.compress("erste Zeile \u00e4\n".encode()))
    (folder / "old" / "c.rst.bz2").write_bytes(bz2.compress(b"third"))
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def test_folder_gives_each_text_file_as_it_is(books):
    documents = list(TextFiles(books).documents())
    assert [(d.id, d.text, d.source) for d in documents] == [
        ("a.md.gz", "erste Zeile \u00e4\n", "books"),
        ("b.txt", "second\r\nline\n", "books"),
        ("old/c.rst.bz2", "third", "books"),
    ]


def test_file_glob_and_several_paths(books):
    assert [d.id for d in TextFiles(books / "b.txt").documents()] == ["b.txt"]
    assert [d.id for d in TextFiles(books / "**" / "*.bz2").documents()] == ["old/c.rst.bz2"]
    both = TextFiles((books / "old", books / "b.txt", books / "b.txt"))
    assert [d.id for d in both.documents()] == ["b.txt", "old/c.rst.bz2"]  # once each, below the folder they share
    assert [d.id for d in TextFiles(books / "picture.png", encoding="latin-1").documents()] == ["picture.png"]


def test_relative_path_is_taken_from_the_current_folder_at_use(books, monkeypatch):
    source = TextFiles(Path("books"))
    monkeypatch.chdir(books.parent)
    assert len(list(source.documents())) == 3


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("x/books", "books"),
        ("x/book.txt", "book"),
        ("x/book.txt.gz", "book"),
        ("x/books/*.txt", "books"),
        ("books/**/*.md", "books"),
    ],
)
def test_name_is_the_path_s_own_unless_given(path, name):
    assert TextFiles(Path(path)).name == name
    assert TextFiles(Path(path), label="mine").name == "mine"


def test_bad_utf8_names_file_and_byte(books):
    (books / "b.txt").write_bytes(b"caf\xc3\xa9 \xff\n")
    with pytest.raises(RunError, match=r"b\.txt is not utf-8: invalid start byte at byte 6\. Convert the file, .*invalid='skip'"):
        list(TextFiles(books).documents())


def test_files_of_another_encoding_may_be_left_out_and_are_counted(books, caplog):
    (books / "b.txt").write_bytes(b"caf\xc3\xa9 \xff\n")
    source = TextFiles(books, invalid="skip")
    for _ in range(2):
        assert [d.id for d in source.documents()] == ["a.md.gz", "old/c.rst.bz2"]
    (record,) = caplog.records
    words = f"source 'books': 1 of 3 files are left out; the first: {books}/b.txt is not utf-8: invalid start byte at byte 6. "
    assert record.getMessage().startswith(words)
    assert source.fingerprint() != TextFiles(books).fingerprint()


def test_damaged_gz_is_named(books):
    (books / "a.md.gz").write_bytes(gzip.compress(os.urandom(1000))[:-20])
    with pytest.raises(RunError, match=r"a\.md\.gz cannot be read: .* Replace the file"):
        list(TextFiles(books).documents())


def test_missing_unmatched_and_empty_paths_say_what_would_match(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere does not exist\. Name a file, a folder, or a glob"):
        TextFiles(tmp_path / "nowhere").documents()
    with pytest.raises(ConfigError, match=r"matches no file\. Wanted: files that end in \.txt, \.md, \.text, \.rst"):
        TextFiles(tmp_path).documents()
    with pytest.raises(ConfigError, match=r"\*\.txt matches no file"):
        TextFiles(tmp_path / "*.txt").fingerprint()
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ConfigError, match=r"empty\.txt is empty\. Wanted: a file with something in it"):
        TextFiles(tmp_path / "empty.txt").documents()
    with pytest.raises(ConfigError, match="no path is given"):
        TextFiles(()).documents()


def test_unknown_encoding(books):
    with pytest.raises(ConfigError, match=r"encoding: 'utf-99' is unknown\. Allowed are"):
        TextFiles(books, encoding="utf-99").documents()


def test_fingerprint_follows_name_size_and_time(books):
    first = TextFiles(books).fingerprint()
    assert TextFiles(books).fingerprint() == first
    assert TextFiles(books, encoding="latin-1").fingerprint() != first
    os.utime(books / "b.txt", ns=(1, 1))
    second = TextFiles(books).fingerprint()
    (books / "b.txt").rename(books / "d.txt")
    assert len({first, second, TextFiles(books).fingerprint()}) == 3


def test_import_leaves_jax_alone_and_the_current_folder_unread(tmp_path):
    code = "import os, sys; os.getcwd = None; import jaxlm.corpus, jaxlm.tokenizer; assert 'jax' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


def test_real_books(shared_data):
    documents = list(TextFiles(shared_data / "gutenberg").documents())
    assert len(documents) == 10
    assert "Call me Ishmael" in {d.id: d.text for d in documents}["pg2701-moby-dick.txt.gz"]
