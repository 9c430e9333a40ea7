"""Code blocks of the documents, and the commands in them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
INDENTED = re.compile(r" {4,}((?:jaxlm|pip|pytest|python) .*)")
"""A command that stands in the text without a fence."""


class Block(NamedTuple):
    language: str
    text: str
    line: int
    """Of its first line of text, in the document."""


class Words(NamedTuple):
    """One command, without what its output is sent to."""

    words: list[str]
    line: int


def blocks(document: str) -> list[Block]:
    found, opened = [], None
    lines = document.splitlines()
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened = number, fence[2], len(fence[1])
        elif fence and opened is not None:
            begin, language, indent = opened
            text = "\n".join(inner[indent:] for inner in lines[begin : number - 1]) + "\n"
            found.append(Block(language, text, begin + 1))
            opened = None
        elif opened is None and (command := INDENTED.fullmatch(line)):
            found.append(Block("sh", command[1] + "\n", number))
    assert opened is None, f"the block opened in line {opened} is never closed"
    return found


def commands(block: Block) -> list[Words]:
    """The commands of a `sh` or `console` block; in the latter only lines after a `$` are commands."""
    found, begun, start = [], "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        if block.language == "console" and not begun:
            if not line.startswith("$ "):
                continue
            line = line[2:]
        start = start if begun else number
        begun += line.removesuffix("\\")
        if not line.endswith("\\"):
            found += [Words(words, start) for words in split(begun)]
            begun = ""
    return found


def split(line: str) -> list[list[str]]:
    """The commands of a line: split at && || ; |, without comments, redirections and NAME=VALUE before a command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if set(word) <= set("&|;"):
            parts.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        elif parts[-1] or not re.match(r"\w+=", word):
            parts[-1].append(word)
    return [part for part in parts if part]


def recipe_file(block: Block) -> Path | None:
    """The name of the file that a python block stands for: its first line is a comment that says nothing but the name."""
    first = re.match(r"# ([\w./-]+\.py)(\s{2,}.*)?$", block.text.splitlines()[0]) if block.text.strip() else None
    return Path(first[1]) if first else None


def quoted_example(block: Block) -> Path | None:
    """The example that a python block shows a part of, within `examples/`: its first line is `# in examples/name.py`."""
    first = re.match(r"# in examples/([\w/-]+\.py)$", block.text.partition("\n")[0])
    return Path(first[1]) if first else None
