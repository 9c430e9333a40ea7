"""From a recipe's sources and steps to one stream of documents."""

from collections.abc import Iterator, Sequence
from itertools import chain

from jaxlm.core import ConfigError, Document, Source, Step


def read_documents(sources: Sequence[Source], steps: Sequence[Step] = ()) -> Iterator[Document]:
    """All documents of all sources in order, each with its source's name, after all steps.

    Raises:
      ConfigError: there is no source, or two have the same name; besides, what the sources raise.
    """
    check_names(sources)
    documents: Iterator[Document] = chain.from_iterable([_named(source, source.documents()) for source in sources])
    for step in steps:
        documents = step(documents)
    return documents


def check_names(sources: Sequence[Source]) -> None:
    """Raises ConfigError unless there is a source and all names differ."""
    names = [source.name for source in sources]
    if not names:
        raise ConfigError("data.sources: empty. Give at least one source, such as PythonDocs() or TextFiles('books/').")
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"data.sources: {names.count(name)} are named {name!r}. Names must differ: set label on one of them.")


def _named(source: Source, documents: Iterator[Document]) -> Iterator[Document]:
    return (document._replace(source=source.name) for document in documents)
