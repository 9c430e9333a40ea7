"""How much text there is, before it is read: what a recipe sizes vocabulary, model and steps by."""

from pathlib import Path

from jaxlm.core import ConfigError
from jaxlm.corpus.files import BROKEN, find_files, open_file, unreadable
from jaxlm.corpus.sources.text import SUFFIXES


def text_bytes(path: Path, at_least: int = 0) -> int:
    """Bytes of the text files that `path` (file, folder or glob) means, uncompressed.

    Raises:
      ConfigError: there is none, or less than `at_least`.
      RunError: a file cannot be read.
    """
    total = 0
    try:
        files = find_files(path, SUFFIXES)
    except ConfigError as error:
        raise ConfigError(str(error).replace("path:", "text:", 1)) from error
    for file in files:
        try:
            with open_file(file.path) as opened:
                while block := opened.read(1 << 20):
                    total += len(block)
        except BROKEN as error:
            raise unreadable(file.path, error) from error
    if total < at_least:
        raise ConfigError(
            f"text={path}: holds {total:,} bytes; from {at_least:,} on there is something to learn from. Give more text, or a "
            "recipe of your own with a smaller vocabulary"
        )
    return total
