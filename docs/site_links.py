"""A hook of mkdocs: files of the project that a page links to are part of the site, under their own paths.

A page in `docs/` links to `../examples/focal.py`, as is right for who reads it in the repository. The site has no place above
its root, so there the file lies in `examples/focal.py` and the link leads to it. What is no file keeps its name alone.
"""

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s:]+)\)")


def outside(target: str, page: str) -> str | None:
    """The path within the project that a link of this page of `docs/` means; None: it stays in `docs/`."""
    path = os.path.normpath(os.path.join("docs", os.path.dirname(page), target))
    return None if path.startswith("docs/") else path


def in_site(markdown: str, page: str) -> tuple[str, set[str]]:
    """The page with links for the site, and the files outside `docs/` that it needs."""
    needed: set[str] = set()

    def replaced(link: re.Match[str]) -> str:
        path = outside(link[2], page)
        if path is None:
            return link[0]
        if not (ROOT / path).is_file():
            return link[1]
        needed.add(path)
        return f"[{link[1]}]({os.path.relpath(path, os.path.dirname(page) or '.')})"

    return LINK.sub(replaced, markdown), needed


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    from mkdocs.structure.files import File

    text, needed = in_site(markdown, page.file.src_uri)
    for path in sorted(needed):
        if files.get_file_from_path(path) is None:
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return text
