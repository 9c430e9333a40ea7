"""The source over the library `datasets`: what needs it is skipped where it is not installed."""

import sys

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import HuggingFace

ROWS = {"text": ["one", "zwei \u00e4", ""], "key": [7, 8, 9], "other": ["a", "b", "c"]}


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return pytest.importorskip("datasets", reason="the package datasets is not installed (pip install datasets)")


def test_a_saved_dataset_gives_its_rows(datasets, tmp_path):
    datasets.Dataset.from_dict(ROWS).save_to_disk(tmp_path / "letters")
    source = HuggingFace(tmp_path / "letters")
    for _ in range(2):
        assert [(d.id, d.text, d.source) for d in source.documents()] == [
            ("0", "one", "letters"),
            ("1", "zwei \u00e4", "letters"),
            ("2", "", "letters"),
        ]
    pairs = HuggingFace(tmp_path / "letters", fields=("text", "other"), id_field="key", label="pairs")
    assert [(d.id, dict(d.streams)) for d in pairs.documents()][:1] == [("7", {"text": "one", "other": "a"})]
    assert source.fingerprint() == HuggingFace(tmp_path / "letters").fingerprint()
    assert source.fingerprint() != HuggingFace(tmp_path / "letters", field="other").fingerprint()


def test_a_named_dataset_is_loaded_by_its_split(datasets, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "test.jsonl").write_text('{"text": "one"}\n')
    source = HuggingFace(dataset=str(tmp_path / "letters"), split="test")
    assert [(d.id, d.text, d.source) for d in source.documents()] == [("0", "one", "letters")]
    first = source.fingerprint()
    assert HuggingFace(dataset=str(tmp_path / "letters"), split="test").fingerprint() == first
    with pytest.raises(RunError, match=r"^HuggingFace .*nowhere cannot be loaded: .* Wanted: a dataset's name, with its subset"):
        HuggingFace(dataset=str(tmp_path / "nowhere")).documents()


def test_what_is_not_there_is_named(datasets, tmp_path):
    table = datasets.Dataset.from_dict({**ROWS, "nothing": [None, "x", "y"]})
    datasets.DatasetDict({"train": table, "test": table.select([1])}).save_to_disk(tmp_path / "letters")
    assert [len(list(HuggingFace(tmp_path / "letters", split=split).documents())) for split in ("train", "test")] == [3, 1]
    for settings, message in {
        ("split", "tests"): r"letters: there is no split 'tests'\. Did you mean 'test'\?$",
        ("field", "txt"): r"letters: there is no column 'txt'\. Did you mean 'text'\?$",
        ("id_field", "id"): r"letters: there is no column 'id'\. Allowed: key, nothing, other, text\.$",
    }.items():
        with pytest.raises(ConfigError, match=message):
            HuggingFace(tmp_path / "letters", **dict([settings])).documents()
    with pytest.raises(RunError, match=r"letters, row 0: the field 'nothing' holds a NoneType, wanted is a string\.$"):
        list(HuggingFace(tmp_path / "letters", field="nothing").documents())
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.json").write_text("{}")
    with pytest.raises(RunError, match=r"else cannot be loaded: .* Wanted: a folder that save_to_disk wrote\.$"):
        HuggingFace(tmp_path / "else").documents()


def test_a_dataset_in_memory_is_to_be_saved(datasets):
    with pytest.raises(ConfigError, match=r'^path: a Dataset was given, a folder is allowed\. .*dataset\.save_to_disk\("folder"\)'):
        HuggingFace(datasets.Dataset.from_dict(ROWS))


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"^data\.sources: HuggingFace needs the package datasets, .* pip install datasets$"):
        HuggingFace("letters").documents()


@pytest.mark.parametrize("given", [{}, {"path": "a", "dataset": "b"}])
def test_a_folder_or_a_name(given):
    with pytest.raises(
        ConfigError, match=r"^path: .* and dataset: '.*' were given\. Give either a folder that save_to_disk wrote, or the"
    ):
        HuggingFace(**given)
