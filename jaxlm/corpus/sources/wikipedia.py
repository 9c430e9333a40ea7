"""Dumps of Wikipedia and of other wikis that MediaWiki runs."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlm.core import ConfigError, Document, RunError, Source
from jaxlm.corpus.files import BROKEN, FoundFile, files_fingerprint, find_files, open_file, stem, unreadable

SUFFIXES = (".xml",)
ARTICLES = "0"
"""MediaWiki's number for the namespace of articles; discussions, users and templates have others."""
NO_PROSE = frozenset({"gallery", "imagemap", "math", "ref", "references", "score", "table", "timeline"})
"""Tags that are left out with what is in them. A wiki's own table syntax is parsed as the tag `table`."""
EMPHASIS = re.compile(r"'{2,5}")
AROUND_LINES = re.compile(r"[ \t]*\n[ \t]*")
BLANK_LINES = re.compile(r"\n{2,}")


@dataclass(frozen=True)
class WikipediaDump(Source):
    """The articles of a dump (`pages-articles`), one document each, as plain paragraphs; its id is the article's title.

    Redirections and other pages than articles are left out, and of articles what is no prose: templates, tables, references,
    formulas, pictures, categories. The package mwparserfromhell reads the markup: `pip install "jaxlm[wikipedia]"`.
    """

    path: Path | tuple[Path, ...]
    """A file, a folder (all .xml within) or a glob, or several; plain, .gz or .bz2."""
    label: str = ""
    """Name of the source; empty: the path's own name."""

    @property
    def name(self) -> str:
        return self.label or stem(self.path)

    def documents(self) -> Iterator[Document]:
        """All articles, files in the order of their paths below the folder, and in each the dump's own.

        Raises:
          ConfigError: the path is missing or matches nothing, or the package is not installed.
          RunError: while iterating, a file is damaged or no XML.
        """
        parser = _library()
        return (
            Document.of(title, text, self.name)
            for file in find_files(self.path, SUFFIXES)
            for title, markup in _articles(file)
            if (text := plain_text(markup, parser))
        )

    def fingerprint(self) -> str:
        return files_fingerprint(find_files(self.path, SUFFIXES), "wikipedia")


def plain_text(markup: str, parser: Any) -> str:
    """An article's prose, paragraphs and headings with one blank line between; empty if it has none."""
    page = parser.parse(markup, skip_style_tags=True)  # of emphasis as markup the package makes far more nodes than of a pattern
    tags = page.filter_tags(matches=lambda tag: str(tag.tag).strip().lower() in NO_PROSE)
    links = page.filter_wikilinks(matches=lambda link: ":" in str(link.title))  # pictures, categories, other languages
    for node in [*tags, *links]:
        if page.contains(node):  # it may have stood in one that is gone
            page.remove(node)
    lines = AROUND_LINES.sub("\n", EMPHASIS.sub("", page.strip_code()))
    return BLANK_LINES.sub("\n\n", lines).strip()


def _articles(file: FoundFile) -> Iterator[tuple[str, str]]:
    """(title, markup) of each article, one page in memory at a time."""
    try:
        with open_file(file.path) as data:
            events = ElementTree.iterparse(data, events=("start", "end"))
            _, root = next(events)
            for event, page in events:
                if event == "end" and page.tag.endswith("}page"):
                    yield from _article(page)
                    root.clear()
    except ElementTree.ParseError as error:
        raise RunError(
            f"{file.path} is no XML ({error}). WikipediaDump reads MediaWiki's dumps, such as enwiki-latest-pages-articles.xml.bz2."
        ) from error
    except BROKEN as error:
        raise unreadable(file.path, error) from error


def _article(page: ElementTree.Element) -> Iterator[tuple[str, str]]:
    of = {"": page.tag.removesuffix("page").strip("{}")}
    if page.findtext("ns", namespaces=of) == ARTICLES and page.find("redirect", of) is None:
        yield page.findtext("title", "", of), page.findtext("revision/text", "", of)


def _library() -> Any:
    try:
        import mwparserfromhell
    except ImportError as error:
        raise ConfigError(
            f"data.sources: WikipediaDump needs the package mwparserfromhell, which cannot be imported ({error}). "
            'pip install "jaxlm[wikipedia]"'
        ) from error
    return mwparserfromhell
