import gzip
import json
from pathlib import Path

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import JsonLines


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n", "utf-8")
    return path


def test_lines_become_documents(tmp_path):
    path = write(tmp_path / "a.jsonl", {"text": "one\n"}, "", {"text": "zwei \u00e4", "n": 1})
    assert [(d.id, d.text, d.source) for d in JsonLines(path).documents()] == [
        ("a.jsonl:1", "one\n", "a"),
        ("a.jsonl:3", "zwei \u00e4", "a"),
    ]


def test_named_streams_and_ids(tmp_path):
    path = write(tmp_path / "a.jsonl", {"key": 7, "en": "dog", "de": "Hund"})
    (document,) = JsonLines(path, fields=("en", "de"), id_field="key").documents()
    assert document.id == "7"
    assert dict(document.streams) == {"en": "dog", "de": "Hund"}
    assert document.text == "dog"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", r"a\.jsonl, line 2: no JSON \(.*\)\. Each line must be one object"),
        ('["text"]', r"a\.jsonl, line 2: a JSON list where an object with the key 'text' is wanted"),
        ('{"txt": "x"}', r"a\.jsonl, line 2: the field 'text' is missing\. Did you mean 'txt'\?"),
        ('{"text": null}', r"a\.jsonl, line 2: the field 'text' holds a NoneType, wanted is a string"),
    ],
)
def test_bad_line_is_named(tmp_path, line, message):
    path = write(tmp_path / "a.jsonl", {"text": "good"}, line)
    with pytest.raises(RunError, match=message):
        list(JsonLines(path).documents())


@pytest.mark.parametrize("line", [b"{broken", b'{"text": "caf\xe9"}', b"[]", b'{"txt": "x"}'])
def test_bad_lines_may_be_left_out_and_are_counted(tmp_path, caplog, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\n\n' + line + b'\n{"text": "two"}\n' + line)
    source = JsonLines(path, invalid="skip")
    for _ in range(2):
        assert [(d.id, d.text) for d in source.documents()] == [("a.jsonl:1", "one"), ("a.jsonl:4", "two")]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"source 'a': 2 of 4 lines are left out; the first: {path}, line 3: ")
    assert source.fingerprint() != JsonLines(path).fingerprint()


def test_damaged_gz_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "x"}\n' * 99)[:-12])
    with pytest.raises(RunError, match=r"a\.jsonl\.gz cannot be read"):
        list(JsonLines(path).documents())


def test_missing_path(tmp_path):
    with pytest.raises(ConfigError, match=r"Wanted: files that end in \.jsonl, \.ndjson"):
        JsonLines(tmp_path).documents()


def test_fingerprint_follows_the_fields(tmp_path):
    path = write(tmp_path / "a.jsonl", {"text": "x", "other": "y"})
    assert JsonLines(path).fingerprint() == JsonLines(path).fingerprint() != JsonLines(path, field="other").fingerprint()


def test_real_web_text(shared_data):
    documents = list(JsonLines(shared_data / "c4" / "c4-sample.01.jsonl.gz").documents())
    assert len(documents) == 10
    assert all(d.text for d in documents)
