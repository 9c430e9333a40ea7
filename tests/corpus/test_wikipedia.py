"""MediaWiki's dumps as plain articles."""

import bz2
import sys

import pytest

from jaxlm.core import ConfigError, RunError
from jaxlm.corpus import WikipediaDump

PAGE = '<page><title>{}</title><ns>{}</ns><id>1</id>{}<revision><id>2</id><text xml:space="preserve">{}</text></revision></page>'
MARKUP = """{{Infobox|name=Owl|born={{circa|1900}}}}
[[File:owl.jpg|thumb|An [[owl]] at night]]
The '''owl''' is a ''[[bird of prey|bird]]'' &amp;mdash; see [[night]].&lt;ref name="a"&gt;A [[book]].&lt;/ref&gt;
{| class="wikitable"
| a [[cell]]
|}

==Food==
* mice
* &lt;b&gt;small&lt;/b&gt; birds



[[Category:Birds]]
[[de:Eulen]]"""
PROSE = "The owl is a bird \u2014 see night.\n\nFood\nmice\nsmall birds"


def dump(*pages: str) -> str:
    site = "<siteinfo><sitename>Wiki</sitename></siteinfo>"
    return f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="en">{site}{"".join(pages)}</mediawiki>'


@pytest.fixture
def owls(tmp_path):
    pytest.importorskip("mwparserfromhell", reason="the package mwparserfromhell is not installed")
    redirect = PAGE.format("Owls", 0, '<redirect title="Owl" />', "#REDIRECT [[Owl]]")
    file = tmp_path / "owls.xml.bz2"
    talk, empty = PAGE.format("Talk:Owl", 1, "", "No articles."), PAGE.format("Only a table", 0, "", "{|\n| x\n|}")
    file.write_bytes(bz2.compress(dump(redirect, PAGE.format("Owl", 0, "", MARKUP), talk, empty).encode("utf-8")))
    return file


def test_articles_are_their_prose_under_their_title(owls):
    source = WikipediaDump(owls)
    for _ in range(2):
        assert [(d.id, d.text, d.source) for d in source.documents()] == [("Owl", PROSE, "owls")]
    assert source.fingerprint() == WikipediaDump(owls.parent, label="other").fingerprint()


def test_the_encoding_is_the_xml_s_own(owls, tmp_path):
    (tmp_path / "bg.xml").write_bytes(dump(PAGE.format("\u0411", 0, "", "\u0441\u043e\u0432\u0430")).encode("utf-16"))
    assert [(d.id, d.text) for d in WikipediaDump(tmp_path / "bg.xml").documents()] == [("\u0411", "\u0441\u043e\u0432\u0430")]


def test_a_damaged_dump_is_named(owls, tmp_path):
    (tmp_path / "cut.xml").write_text(dump(PAGE.format("Owl", 0, "", "An owl."))[:-30])
    documents = WikipediaDump(tmp_path / "cut.xml").documents()
    with pytest.raises(
        RunError, match=r"cut\.xml is no XML \(.*line 1.*\)\. WikipediaDump reads MediaWiki's dumps, such as enwiki"
    ):
        list(documents)
    owls.write_bytes(owls.read_bytes()[:-40])
    with pytest.raises(RunError, match=r"owls\.xml\.bz2 cannot be read: "):
        list(WikipediaDump(owls).documents())


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mwparserfromhell", None)
    with pytest.raises(ConfigError, match=r'WikipediaDump needs the package mwparserfromhell.* pip install "jaxlm\[wikipedia\]"$'):
        WikipediaDump(tmp_path).documents()


def test_real_articles_hold_no_markup(shared_data):
    pytest.importorskip("mwparserfromhell", reason="the package mwparserfromhell is not installed")
    documents = list(WikipediaDump(shared_data / "wikipedia" / "enwiki-table-markup.xml.bz2").documents())
    assert len(documents) == 5
    for document in documents:
        assert len(document.text) > 900
        assert not any(mark in document.text for mark in ("{{", "{|", "[[", "<ref", "'''", "\n\n\n", "\n "))
