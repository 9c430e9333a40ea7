"""From a dict to a document: what all sources of records share."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from jaxlm.core import RunError
from jaxlm.core.errors import nearest


def text_streams(record: Mapping[str, Any], field: str, fields: tuple[str, ...], where: str) -> dict[str, str]:
    """The text under `field`, or the named streams under `fields` where there are any.

    Raises:
      RunError: a field is missing or holds no string; the message begins with `where`.
    """
    if fields:
        return {name: _value(record, name, where, str) for name in fields}
    return {"text": _value(record, field, where, str)}


def record_id(record: Mapping[str, Any], key: str, where: str) -> str:
    """The id under `key`, a string or a whole number. Raises RunError as `text_streams` does."""
    return str(_value(record, key, where, str | Integral))


def _value(record: Mapping[str, Any], key: str, where: str, kind: Any) -> Any:
    """The value under `key`, of this kind. Raises RunError as `text_streams` does."""
    if key not in record:
        raise RunError(f"{where}: the field {key!r} is missing.{nearest(key, map(str, record))}")
    if not isinstance(record[key], kind):
        wanted = "string" if kind is str else "string or a whole number"
        raise RunError(f"{where}: the field {key!r} holds a {type(record[key]).__name__}, wanted is a {wanted}.")
    return record[key]
