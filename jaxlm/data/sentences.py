"""Where sentences start: found once, while text is encoded, by Wikimedia's `sentencex`, and kept beside the tokens.

It knows the abbreviations and quotes of some 300 languages, by rules alone, and has no other dependency; it is imported only
where sentences are asked for.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np

from jaxlm.core import ConfigError
from jaxlm.tokenizer.base import Tokenizer

PARAGRAPH = re.compile(r"\n[^\S\n]*\n")
"""An empty line: no sentence goes on beyond it."""
STRETCH = 20_000
"""Characters that are looked at together: the library takes a time that grows as the square of a paragraph's length."""
SURROGATES = re.compile("[\ud800-\udfff]")


def sentence_rules(language: str) -> dict[str, Any]:
    """What decides where sentences start, for a store's address and header.

    Raises:
      ConfigError: the library is not installed.
    """
    _library()
    return {"sentences": {"language": language, "sentencex": version("sentencex"), "rules": 1}}


def sentence_starts(text: str, language: str) -> np.ndarray:
    """The characters at which sentences start, ascending; int64. White space between sentences belongs to none.

    Raises:
      ConfigError: the library is not installed.
    """
    boundaries = _library().get_sentence_boundaries
    text = SURROGATES.sub("\ufffd", text)  # of one character too; the library takes no lone ones
    starts: list[int] = []
    for begin, end in _paragraphs(text):
        inside = False  # a sentence longer than the stretch goes on
        while begin < end:
            stop = min(end, begin + STRETCH)
            spans = [(begin + span["start_index"], begin + span["end_index"]) for span in boundaries(language, text[begin:stop])]
            goes_on = stop < end and len(spans) == 1
            if stop < end and len(spans) > 1:
                stop = spans.pop()[0]  # cut off by the stretch's end: the next one begins with it
            begun = spans[1:] if inside else spans
            starts += [last - len(text[first:last].lstrip()) for first, last in begun if not text[first:last].isspace()]
            begin, inside = stop, goes_on
    return np.array(starts, np.int64)


def encode_sentences(tokenizer: Tokenizer, texts: Sequence[str], language: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each text its ids, those of `encode_batch`, and which of them start a sentence: the first that reaches beyond the
    character at which it starts, ascending; int64. A sentence of which no id is left (a tokenizer may drop characters), or
    whose first id is another's, starts nowhere.
    """
    found = []
    for text, (ids_N, ends_N) in zip(texts, tokenizer.encode_with_ends(texts), strict=True):
        places = np.unique(ends_N.searchsorted(sentence_starts(text, language), "right"))
        found.append((ids_N, places[places < len(ids_N)]))
    return found


def _paragraphs(text: str) -> list[tuple[int, int]]:
    """Where paragraphs begin and end, the empty lines behind them left out."""
    breaks = [match.span() for match in PARAGRAPH.finditer(text)]
    return list(zip([0, *(end for _, end in breaks)], [*(start for start, _ in breaks), len(text)], strict=True))


def _library() -> ModuleType:
    try:
        import sentencex
    except ImportError as error:
        raise ConfigError(
            f"objective.sentences: finding sentences needs the package sentencex, which cannot be imported ({error}). "
            "pip install sentencex"
        ) from error
    return sentencex
