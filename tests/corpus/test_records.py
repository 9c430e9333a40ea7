from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from jaxlm.core import RunError
from jaxlm.corpus import Records, read_documents


@dataclass(frozen=True)
class Given(Records):
    """Yields what a test gives it."""

    given: tuple

    def records(self) -> Iterator[dict]:
        for record in self.given:
            yield record if record != {"fail": True} else {}["key"]


def test_dicts_become_documents_again_and_again():
    source = Given(({"text": "one"}, {"id": 7, "text": "zwei \u00e4", "more": 1}, {"id": "x", "text": ""}))
    for _ in range(2):
        assert [(d.id, d.text, d.source) for d in read_documents([source])] == [
            ("1", "one", "Given"),
            ("7", "zwei \u00e4", "Given"),
            ("x", "", "Given"),
        ]


def test_named_streams_and_other_keys():
    source = Given(({"key": 1, "en": "dog", "de": "Hund"},), fields=("en", "de"), id_field="key", label="pairs")
    (document,) = source.documents()
    assert (document.id, dict(document.streams), document.source) == ("1", {"en": "dog", "de": "Hund"}, "pairs")
    assert next(Given(({"body": "a"},), field="body").documents()).text == "a"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"txt": "x"}, r"^Given, record 2: the field 'text' is missing\. Did you mean 'txt'\?$"),
        ({"text": None}, r"^Given, record 2: the field 'text' holds a NoneType, wanted is a string\.$"),
        ({"text": "x", "id": 0.5}, r"^Given, record 2: the field 'id' holds a float, wanted is a string or a whole number\.$"),
        ("text", r"^Given, record 2: a str where a dict with 'text' is wanted\.$"),
        ({"fail": True}, r"^Given, record 2: .*test_records\.py:18: KeyError: 'key'$"),
    ],
)
def test_a_broken_record_is_named_by_its_number(record, message):
    with pytest.raises(RunError, match=message):
        list(Given(({"text": "good"}, record)).documents())


def test_a_generator_that_was_forgotten():
    @dataclass(frozen=True)
    class Empty(Records):
        def records(self):
            return None

    with pytest.raises(
        RunError, match=r"^Empty, record 1: records\(\) gave no iterable: TypeError: 'NoneType' object is not iterable$"
    ):
        list(Empty().documents())
    with pytest.raises(NotImplementedError, match=r"Records must define records\(\)"):
        list(Records().documents())


def test_fingerprint_follows_ids_and_texts():
    prints = [Given(({"text": a}, {"text": b})).fingerprint() for a, b in [("x", "y"), ("xy", ""), ("x", "z"), ("x", "y")]]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3
