from collections.abc import Callable, Iterable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlm.core import ConfigError, Document, RunError, Source
from jaxlm.corpus import read_documents, split_documents


def reader(*texts: str, source: str = "s") -> Callable[[], list[Document]]:
    return lambda: [Document.of(str(i), text, source) for i, text in enumerate(texts)]


def sides(read: Callable[[], Iterable[Document]], *args, **settings) -> tuple[list[str], list[str]]:
    split = list(split_documents(read, *args, **settings))
    return [d.text for d, held_out in split if not held_out], [d.text for d, held_out in split if held_out]


def test_tail_cuts_at_the_exact_character():
    split = list(split_documents(reader("abcde", "fghij", "klmno"), "tail", 0.4))
    assert [(d.id, d.text, held_out) for d, held_out in split] == [
        ("0", "abcde", False),
        ("1", "fghi", False),
        ("1#tail", "j", True),
        ("2", "klmno", True),
    ]


def test_tail_of_shakespeare_size_is_the_last_tenth_exactly():
    text = "x" * 1_003_854 + "y" * 111_540  # 1,115,394 characters, as the usual split int(0.9 * n)
    assert sides(reader(text), "auto", 0.1) == (["x" * 1_003_854], ["y" * 111_540])


def test_auto_goes_by_the_number_of_documents():
    few, many = [f"text {i}" for i in range(99)], [f"text {i}" for i in range(100)]
    assert sides(reader(*few), "auto", 0.1) == sides(reader(*few), "tail", 0.1) != sides(reader(*few), "hash", 0.1)
    assert sides(reader(*many), "auto", 0.1) == sides(reader(*many), "hash", 0.1) != sides(reader(*many), "tail", 0.1)


def test_hash_keeps_duplicates_together_and_does_not_mind_the_order():
    texts = [f"text {i % 150}" for i in range(300)]
    train, validation = sides(reader(*texts), "hash", 0.2)
    assert not set(train) & set(validation)
    assert 30 < len(validation) < 90
    backwards = sides(reader(*texts[::-1]), "hash", 0.2)
    assert (sorted(train), sorted(validation)) == tuple(map(sorted, backwards))


def test_hash_is_the_same_in_every_release():
    texts = [f"text {i}" for i in range(50)]
    expected = [text for text in texts if int(sha256(text.encode()).hexdigest()[:12], 16) < 0.1 * 16**12]
    assert sides(reader(*texts), "hash", 0.1)[1] == expected
    assert len(expected) == 7


@given(st.lists(st.text(max_size=4), min_size=1, max_size=12), st.sampled_from(["auto", "hash", "tail"]), st.floats(0.01, 0.99))
def test_all_text_is_on_one_side_and_neither_is_empty(texts, how, fraction):
    try:
        train, validation = sides(reader(*texts), how, fraction)
    except RunError:  # too short, or one text over and over
        assert len("".join(texts)) * min(fraction, 1 - fraction) < 1 or len(set(texts)) == 1
        return
    assert train
    assert validation
    assert sorted("".join(train + validation)) == sorted("".join(texts))
    if how == "hash" and len(texts) > 1:
        assert not set(train) & set(validation)


@pytest.mark.parametrize("fraction", [1e-9, 1 - 1e-9])
def test_hash_holds_out_one_text_at_least_and_never_all(fraction):
    train, validation = sides(reader("a", "b", "c", "a"), "hash", fraction)
    assert len(set(train)) + len(set(validation)) == 3
    assert min(len(set(train)), len(set(validation))) == 1


def test_sources_are_split_apart_and_some_not_at_all():
    read = lambda: [*reader(*"abcdefghij", source="letters")(), *reader(*"0123456789", source="digits")()]
    assert sides(read, "tail", 0.2)[1] == ["i", "j", "8", "9"]
    assert sides(read, "tail", 0.2, held_out=("digits",))[1] == ["8", "9"]


def test_parallel_text_is_never_cut():
    def read(sizes):
        return lambda: [Document(str(i), {"en": "e" * size, "de": "d"}, "s") for i, size in enumerate(sizes)]

    def held_out(sizes):
        return [d.id for d, out in split_documents(read(sizes), "tail", 0.5) if out]

    assert held_out([4, 4, 4]) == ["1", "2"]
    assert held_out([9, 1]) == ["1"]
    assert held_out([1, 9]) == ["1"]
    with pytest.raises(RunError, match="one document of several streams, which cannot be cut"):
        held_out([9])


def test_messages():
    with pytest.raises(ConfigError, match=r"data\.split: 'tial' is unknown\. Did you mean 'tail'\?"):
        split_documents(reader("abc"), "tial")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"data\.validation_fraction: 1\.5 is not between 0 and 1"):
        split_documents(reader("abc"), "tail", 1.5)
    with pytest.raises(ConfigError, match=r"data\.validation_sources: 'book' is no source with text\. Did you mean 'books'\?"):
        split_documents(reader("abc", source="books"), "tail", 0.5, ("book",))
    with pytest.raises(RunError, match=r"Source 's' has 1 characters, too few to hold out 10% of them"):
        split_documents(reader("a"), "auto", 0.1)
    with pytest.raises(RunError, match=r"Source 's': its 3 documents are all the same text"):
        split_documents(reader("a", "a", "a"), "hash", 0.1)
    with pytest.raises(RunError, match="leave no document to train on"):
        split_documents(reader(), "auto", 0.1)


class Given(Source):
    def __init__(self, name: str, *texts: str):
        self.label, self.texts = name, texts

    @property
    def name(self) -> str:
        return self.label

    def documents(self):
        return (Document.of(text, text, "whatever the source says") for text in self.texts)


def test_read_documents_names_the_source_and_runs_the_steps_in_order():
    upper = lambda documents: (d._replace(streams={"text": d.text.upper()}) for d in documents)
    longer = lambda documents: (d._replace(streams={"text": d.text + "b"}) for d in documents)
    documents = list(read_documents([Given("one", "a"), Given("two", "c")], [upper, longer]))  # type: ignore[list-item]
    assert [(d.source, d.text) for d in documents] == [("one", "Ab"), ("two", "Cb")]


def test_read_documents_refuses_equal_names_and_no_source():
    with pytest.raises(ConfigError, match=r"data\.sources: 2 are named 'one'\. Names must differ: set label"):
        read_documents([Given("one"), Given("one")])
    with pytest.raises(ConfigError, match=r"data\.sources: empty"):
        read_documents([])
