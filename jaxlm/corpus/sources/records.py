"""Dicts that a generator of one's own makes."""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from jaxlm.core import Document, RunError, Source, UserError
from jaxlm.corpus.records import record_id, text_streams


@dataclass(frozen=True)
class Records(Source):
    """Documents from dicts: extend it in the recipe's own file and define `records`; the fields of yours are settings.

        @dataclass(frozen=True)
        class Letters(Records):
            path: Path

            def records(self):
                for number, body in sqlite3.connect(self.path).execute("select id, body from letters order by id"):
                    yield {"id": number, "text": body}

    All of them are read to see whether they changed; define `fingerprint` where something cheaper tells.
    """

    _: KW_ONLY
    field: str = "text"
    """Key of the text."""
    fields: tuple[str, ...] = ()
    """Keys of several named streams (parallel text), in place of `field`."""
    id_field: str = "id"
    """Key of the document's id, a string or a whole number; a record without it goes by its number, the first is 1."""
    label: str = ""
    """Name of the source; empty: the class's own name."""

    @property
    def name(self) -> str:
        return self.label or type(self).__name__

    def records(self) -> Iterable[Mapping[str, Any]]:
        """All records, the same in the same order, from the start at each call."""
        raise NotImplementedError(f"{type(self).__name__} must define records()")

    def documents(self) -> Iterator[Document]:
        """All records in order.

        Raises:
          RunError: while iterating, a record is no dict with these fields, or `records` failed.
        """
        for number, record in enumerate(self._made(), 1):
            where = f"{self.name}, record {number}"
            if not isinstance(record, Mapping):
                wanted = ", ".join(map(repr, self.fields or (self.field,)))
                raise RunError(f"{where}: a {type(record).__name__} where a dict with {wanted} is wanted.")
            id = record_id(record, self.id_field, where) if self.id_field in record else str(number)
            yield Document(id, text_streams(record, self.field, self.fields, where), self.name)

    def _made(self) -> Iterator[Any]:
        """What `records` yields; an error in it names the record and the line."""
        number = 1
        try:
            for record in self.records():
                yield record
                number += 1
        except (UserError, NotImplementedError):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            raise RunError(f"{self.name}, record {number}: {_place(error, type(self).records)}: {said}") from error


def _place(error: BaseException, function: Any) -> str:
    """FILE:LINE of the function's last frame on the way to the error."""
    file = function.__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}:{lines[-1]}" if lines else "records() gave no iterable"
