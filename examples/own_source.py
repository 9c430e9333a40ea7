"""A corpus source in one file: jaxlm train own_source.py --database letters.db

`records` is any generator of dicts that gives the same at each call. The fields are settings, `--data.sources.0.table notes`.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jaxlm
from jaxlm.corpus import Records


@dataclass(frozen=True)
class Table(Records):
    """The rows of an SQLite table with columns `id` and `text`."""

    path: Path
    table: str = "letters"

    def records(self) -> Iterator[dict]:
        for id, text in sqlite3.connect(self.path).execute(f"select id, text from {self.table} order by id"):
            yield {"id": id, "text": text}


def config(*, database: Path):
    base = jaxlm.recipe("nano/gpt2")
    return replace(base, data=replace(base.data, sources=(Table(database),)))
