"""The reader of code blocks itself."""

from pathlib import Path

import pytest
from document_blocks import Block, blocks, commands, quoted_example, recipe_file, split

DOCUMENT = """
```sh
one --a 1   # a comment
two \\
  --b
```
text

    pip install x

```console
$ three "x y" > out.json
step 1
```
"""


def test_blocks_and_their_commands():
    sh, indented, console = blocks(DOCUMENT)
    assert [tuple(c) for c in commands(sh)] == [(["one", "--a", "1"], 3), (["two", "--b"], 4)]
    assert [tuple(c) for c in commands(indented)] == [(["pip", "install", "x"], 9)]
    assert [tuple(c) for c in commands(console)] == [(["three", "x y"], 12)], "output is no command"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('pip install -e ".[dev]" && pytest', [["pip", "install", "-e", ".[dev]"], ["pytest"]]),
        ("A=1 B=2 jaxlm train x --optimizer.steps=3", [["jaxlm", "train", "x", "--optimizer.steps=3"]]),
        ("jaxlm runs | head -3", [["jaxlm", "runs"], ["head", "-3"]]),
        ("# nothing", []),
    ],
)
def test_lines(line, expected):
    assert split(line) == expected


def test_a_block_that_is_a_file():
    assert recipe_file(Block("python", "# focal.py        jaxlm train focal.py\nx = 1\n", 1)) == Path("focal.py")
    assert recipe_file(Block("python", "# see focal.py\n", 1)) is None


def test_a_block_that_shows_an_example():
    assert quoted_example(Block("python", "# in examples/focal.py\nx = 1\n", 1)) == Path("focal.py")
    assert quoted_example(Block("python", "# focal.py\nx = 1\n", 1)) is None


def test_an_open_block_is_an_error():
    with pytest.raises(AssertionError, match="never closed"):
        blocks("```sh\nx")
