"""The site of the documents: its links, and a place for each page."""

import importlib.util
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site_links():
    spec = importlib.util.spec_from_file_location("site_links", ROOT / "docs" / "site_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("markdown", "page", "expected", "needed"),
    [
        ("[x](../examples/own_source.py)", "data.md", "[x](examples/own_source.py)", {"examples/own_source.py"}),
        ("[x](../../CONTRIBUTING.md)", "decisions/layout.md", "[x](../CONTRIBUTING.md)", {"CONTRIBUTING.md"}),
        ("[configs/](../configs/)", "data.md", "configs/", set()),
        ("[x](decisions/layout.md) [y](resume.md#which-folder)", "data.md", None, set()),
        ("[x](../resume.md), [y](https://example.org/a.py)", "decisions/layout.md", None, set()),
    ],
)
def test_links_out_of_the_documents(site_links, markdown, page, expected, needed):
    assert site_links.in_site(markdown, page) == (expected or markdown, needed)


PAGES = sorted((ROOT / "docs").rglob("*.md"))
ITEM = re.compile(r"(- |\d+\. )")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_an_empty_line_precedes_each_list(page):
    """Else the site shows it as one paragraph; other readers of Markdown do not mind."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text())
    for before, line in pairwise(text.splitlines()):
        begins = ITEM.match(line) and not ITEM.match(before) and not before.startswith(" ")
        assert not begins or not before.strip(), f"{page.name}: put an empty line before {line!r}"


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    assert (tmp_path / "examples" / "own_source.py").read_text() == (ROOT / "examples" / "own_source.py").read_text()
    pages = "".join(page.read_text() for page in tmp_path.rglob("*.html"))
    assert "fonts.googleapis" not in pages
    assert not (tmp_path / "site_links.py").exists()
