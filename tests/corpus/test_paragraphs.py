import re

import pytest

from jaxlm.core import Document
from jaxlm.corpus import DeduplicateParagraphs, PythonDocs, read_documents, split_documents

A, B, C = ("a" * 40, "b " * 30, "c" * 39)


def texts(*documents: str, **settings) -> list[str]:
    step = DeduplicateParagraphs(**settings)
    return [d.text for d in step(Document.of(str(i), text) for i, text in enumerate(documents))]


def test_repeats_go_and_the_rest_stays_as_it_is():
    first = f"{A}\n \n\nshort\n\n{B}\n"
    assert texts(first, f"short\n\nnew {B} text\n\n{A}\n\nend\n") == [first, f"short\n\nnew {B} text\n\nend\n"]


def test_white_space_does_not_hide_a_repeat():
    assert texts(f"{B}", "x" * 200 + "\n\n" + B.replace(" ", "\n ")) == [B, "x" * 200 + "\n\n"]


def test_repeats_within_one_document_go_too():
    assert texts(f"{A}\n\n{B}\n\n{A}", max_lost=0.9) == [f"{A}\n\n{B}\n\n"]


def test_short_paragraphs_may_repeat():
    assert texts(C, C) == [C, C]
    assert texts(C, C, min_chars=39) == [C]


def test_a_document_that_loses_most_is_dropped_and_does_not_count():
    assert texts(A, f"{A}\n\n{A}\n\n{B}", B) == [A, B]
    assert texts(A, f"{A}\n\n{B}", max_lost=1.0) == [A, B]
    assert texts(A, A, max_lost=1.0) == [A]  # nothing is left of it


def test_parallel_text_is_kept_or_dropped_whole():
    documents = [
        Document("0", {"en": A, "de": "x"}),
        Document("1", {"en": f"{B}\n\n{A}", "de": "y"}),
        Document("2", {"en": B, "de": A}),
    ]
    assert [d.id for d in DeduplicateParagraphs()(documents)] == ["0", "2"]


@pytest.mark.parametrize("how", ["hash", "tail"])
def test_no_paragraph_of_real_text_stands_on_both_sides(how):
    paragraphs: tuple[set[str], set[str]] = (set(), set())
    for document, held_out in split_documents(lambda: read_documents([PythonDocs()], [DeduplicateParagraphs()]), how, 0.1):
        found = (" ".join(p.split()) for p in re.split(r"\n\s*\n", document.text))
        paragraphs[held_out].update(p for p in found if len(p) >= 40)
    assert len(paragraphs[False]) > 5000
    assert len(paragraphs[True]) > 500
    assert not paragraphs[False] & paragraphs[True]
