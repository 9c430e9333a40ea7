"""Datasets of the Hugging Face library `datasets`, which is imported only here and only when it is used."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlm.core import ConfigError, Document, RunError, Source
from jaxlm.core.errors import nearest
from jaxlm.corpus.files import files_fingerprint, find_files
from jaxlm.corpus.records import record_id, text_streams

SUFFIXES = (".arrow", ".json")


@dataclass(frozen=True)
class HuggingFace(Source):
    """A dataset of the library `datasets`: kept in a folder (`dataset.save_to_disk("folder")`), or by its name."""

    path: Path | None = None
    """A folder that `save_to_disk` wrote."""
    dataset: str = ""
    """In place of `path`: a name, as `load_dataset` takes it."""
    subset: str | None = None
    """Of a named dataset: which of its configurations."""
    split: str = "train"
    """Which part, where there are several."""
    revision: str | None = None
    """Of a named dataset: branch, tag or commit."""
    field: str = "text"
    """Column of the text."""
    fields: tuple[str, ...] = ()
    """Columns of several named streams (parallel text), in place of `field`."""
    id_field: str | None = None
    """Column of the document's id; None: the row's number, the first is 0."""
    label: str = ""
    """Name of the source; empty: the folder's, or the dataset's."""

    def __post_init__(self) -> None:
        if self.path is not None and not isinstance(self.path, str | Path):
            raise ConfigError(
                f"path: a {type(self.path).__name__} was given, a folder is allowed. Keep it in one, "
                'dataset.save_to_disk("folder"), and give HuggingFace("folder"): the run can find it again there.'
            )
        if bool(self.path) == bool(self.dataset):
            raise ConfigError(
                f"path: {self.path} and dataset: {self.dataset!r} were given. Give either a folder that save_to_disk wrote, or "
                "the name of a dataset."
            )

    @property
    def name(self) -> str:
        return self.label or (Path(self.path).name if self.path else self.dataset.rpartition("/")[2])

    def documents(self) -> Iterator[Document]:
        """All rows of the split, in order.

        Raises:
          ConfigError: the library is not installed, or there is no such dataset, split or column.
          RunError: the dataset cannot be loaded; while iterating, a field holds no string.
        """
        rows = self._load()
        columns = [*(self.fields or (self.field,)), *([self.id_field] if self.id_field else [])]
        for column in columns:
            if column not in rows.column_names:
                raise ConfigError(f"{self._where}: there is no column {column!r}.{nearest(column, rows.column_names)}")
        return self._documents(rows.select_columns(list(dict.fromkeys(columns))))

    def fingerprint(self) -> str:
        if self.path is None:
            return super().fingerprint()
        files = find_files(self.path, SUFFIXES)
        return files_fingerprint(files, "hugging face", self.split, self.field, self.fields, self.id_field)

    @property
    def _where(self) -> str:
        return f"HuggingFace {self.path or self.dataset}"

    def _documents(self, rows: Any) -> Iterator[Document]:
        for number, row in enumerate(rows):
            where = f"{self._where}, row {number}"
            id = str(number) if self.id_field is None else record_id(row, self.id_field, where)
            yield Document(id, text_streams(row, self.field, self.fields, where), self.name)

    def _load(self) -> Any:
        datasets = _library()
        try:
            if self.path is None:
                return datasets.load_dataset(self.dataset, self.subset, split=self.split, revision=self.revision)
            found = datasets.load_from_disk(str(self.path))
        except Exception as error:  # of many kinds, those of the network among them
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            wanted = "a folder that save_to_disk wrote" if self.path else "a dataset's name, with its subset and split"
            raise RunError(f"{self._where} cannot be loaded: {said} Wanted: {wanted}.") from error
        if not isinstance(found, datasets.DatasetDict):
            return found
        if self.split not in found:
            raise ConfigError(f"{self._where}: there is no split {self.split!r}.{nearest(self.split, found)}")
        return found[self.split]


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            f"data.sources: HuggingFace needs the package datasets, which cannot be imported ({error}). pip install datasets"
        ) from error
    return datasets
