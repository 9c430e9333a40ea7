import pytest

from jaxlm.core import ConfigError, Document
from jaxlm.corpus import Sections


def sections(document, **settings):
    return [(part.id, part.text) for part in Sections(**settings)([document])]


def test_long_documents_are_cut_at_blank_lines_and_no_word_is_lost():
    text = "one\n\ntwo two\n \nthree three three three\n\nfour\n\n\nfive\n"
    parts = sections(Document.of("x", text), max_chars=14)
    assert parts == [
        ("x#1", "one"),
        ("x#2", "two two"),
        ("x#3", "three three three three"),
        ("x#4", "four\n\n\nfive"),
    ]
    assert " ".join(part for _, part in parts).split() == text.split()
    assert sections(Document.of("x", "one\r\n\r\ntwo"), max_chars=4) == [("x#1", "one"), ("x#2", "two")]


def test_paragraphs_may_be_lines():
    parts = sections(Document.of("x", " one\n two\n \n three\n"), max_chars=12, at="line ends")
    assert parts == [("x#1", " one\n two"), ("x#2", " three")]


def test_what_is_short_or_parallel_stays_whole():
    assert sections(Document.of("x", "a\n\nb"), max_chars=4) == [("x", "a\n\nb")]
    assert sections(Document.of("x", "a\n\nb \n"), max_chars=4) == [("x", "a\n\nb")], "but for the white space at its end"
    assert sections(Document.of("x", "\n\nlong enough\n\ny"), max_chars=5) == [("x#1", "long enough"), ("x#2", "y")]
    pair = Document("x", {"en": "a\n\nb", "de": "c\n\nd"})
    assert list(Sections(1)([pair])) == [pair]
    with pytest.raises(ConfigError, match=r"data\.steps: Sections\.max_chars=0 must be at least 1"):
        Sections(0)
    with pytest.raises(
        ConfigError, match=r"data\.steps: Sections\.at='words' is unknown; choose one of 'blank lines' and 'line ends'"
    ):
        Sections(at="words")
