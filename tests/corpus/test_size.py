"""How much text there is, before it is read."""

import gzip

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus.size import text_bytes


def test_compressed_files_count_as_their_text(tmp_path):
    (tmp_path / "a.txt").write_text("ä" * 10)
    with gzip.open(tmp_path / "b.txt.gz", "wb") as file:
        file.write(b"b" * 1000)
    assert text_bytes(tmp_path) == 1020


def test_too_little_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("short")
    with pytest.raises(ConfigError, match=r"holds 5 bytes; from 6 on there is something to learn from\. Give more text"):
        text_bytes(tmp_path, at_least=6)


def test_a_damaged_file_is_named(tmp_path):
    whole = gzip.compress(b"some text " * 100)
    (tmp_path / "broken.txt.gz").write_bytes(whole[:-12])
    with pytest.raises(RunError, match=r"broken\.txt\.gz cannot be read: .* Replace the file or leave it out\.$"):
        text_bytes(tmp_path)
