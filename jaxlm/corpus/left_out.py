"""What cannot be read: it ends the run, or is left out and counted."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Literal, TypeVar

from jaxlm.core import Document, RunError

Invalid = Literal["error", "skip"]
T = TypeVar("T")

log = logging.getLogger(__name__)


def read_each(items: Iterable[T], read: Callable[[T], Document], invalid: Invalid, source: str, what: str) -> Iterator[Document]:
    """The document of each item; with `invalid` "skip" those that `read` cannot read are left out, and their number is told.

    Args:
      source, what: for the message: the source's name, and what its items are ("files").

    Raises:
      RunError: that of `read`, with `invalid` "error".
    """
    num_read = num_left_out = 0
    first = ""
    for item in items:
        try:
            document = read(item)
        except RunError as error:
            if invalid == "error":
                raise
            first = first or str(error)
            num_left_out += 1
        else:
            num_read += 1
            yield document
    if num_left_out:
        _tell(f"source {source!r}: {num_left_out:,} of {num_read + num_left_out:,} {what} are left out; the first: {first}")


@cache
def _tell(message: str) -> None:
    """Once, however often the text is read."""
    log.warning(message)
