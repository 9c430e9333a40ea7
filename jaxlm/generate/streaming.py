"""Ids to text as they come: no half characters, no lost spaces."""

from collections.abc import Sequence

from jaxlm.tokenizer.base import Tokenizer

INCOMPLETE = "\ufffd"
"""What decoding shows for bytes that are no character, or not yet."""


class TextStream:
    """The text that each further id adds; the parts join to the text of all ids.

    A token's text may depend on the one before (a tokenizer may drop the space at the very start), so ids are decoded
    along with those shown last, and what is new is the difference. A text that ends in the middle of a character is held
    back until the rest comes or the end is near.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int] = ()):
        """before: ids of the text in front, which is not shown again."""
        self._decode = tokenizer.decode
        self._ids = list(before)
        self._start = 0
        """Ids from here are decoded."""
        self._shown = len(self._ids)
        """Ids up to here have been shown."""

    def push(self, id: int, *, last: bool = False) -> str:
        """The text that can be shown now that this id has come; with `last`, all that was held back too."""
        self._ids.append(id)
        return self._new(last)

    def end(self) -> str:
        """What was held back."""
        return self._new(last=True)

    def _new(self, last: bool) -> str:
        shown, text = self._decode(self._ids[self._start : self._shown]), self._decode(self._ids[self._start :])
        if text == shown or (text.endswith(INCOMPLETE) and not last):
            return ""
        self._start, self._shown = self._shown, len(self._ids)
        return text[len(shown) :]
