"""From a config's sources to a tokenizer and a token store, each made once and found again by its content."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jaxlm.core import ConfigError, Document
from jaxlm.core.errors import writing
from jaxlm.core.paths import cache_root, require_readable, require_writable
from jaxlm.corpus import read_documents, split_documents
from jaxlm.data import DataConfig, Store, default_root, store_address, write_store
from jaxlm.data.blocks import ROOM
from jaxlm.data.sentences import sentence_rules
from jaxlm.data.store import HEADER
from jaxlm.run.config import RunConfig
from jaxlm.run.values import to_json
from jaxlm.tokenizer import load_tokenizer
from jaxlm.tokenizer.base import Tokenizer, TokenizerConfig
from jaxlm.tokenizer.folder import DESCRIPTION
from jaxlm.train.waiting import waiting

Say = Callable[[str], None]


@dataclass(frozen=True)
class Text:
    """The text of a config: what decides it, and how to read it."""

    data: DataConfig
    fingerprints: tuple[str, ...]
    settings: dict
    """Plain JSON of all that decides documents and split."""
    sentences: str | None = None
    """The language by whose rules the store's sentences are found; None: no objective asks for them."""

    def documents(self) -> Iterator[tuple[Document, bool]]:
        """(document, whether it is held out), from the beginning."""
        d = self.data
        return split_documents(lambda: read_documents(d.sources, d.steps), d.split, d.validation_fraction, d.validation_sources)

    def train_texts(self) -> Iterator[str]:
        """The training documents' texts, all streams: what a tokenizer may learn from."""
        return (text for document, held_out in self.documents() if not held_out for text in document.streams.values())


def text_of(config: RunConfig, module: str | None = None) -> Text:
    """The text of a config; looks at the sources, reads none.

    Args:
      module: the recipe's, where the sources may be its own classes.

    Raises:
      ConfigError: a source's files are missing.
    """
    node = to_json(config, module)["data"]
    settings = {name: node[name] for name in ("sources", "steps", "split", "validation_fraction", "validation_sources")}
    fingerprints = tuple(source.fingerprint() for source in config.data.sources)
    return Text(config.data, fingerprints, settings, config.objective.sentences)


def tokenizer_for(config: TokenizerConfig, text: Text, say: Say = print, *, build: bool = True) -> Tokenizer:
    """Trains the tokenizer on the training text, or takes the one that the same text and settings gave before.

    Raises:
      ConfigError: there is none and `build` is False.
    """
    identity = {"tokenizer": to_json(config), "fingerprints": text.fingerprints, "text": text.settings}
    key = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:40]
    folder = cache_root() / "tokenizers" / key
    require_readable(cache_root(), "JAXLM_CACHE")
    if not (folder / DESCRIPTION).is_file():
        _require_built(build, "tokenizer", folder)
        require_writable(cache_root(), "JAXLM_CACHE")
        begun = time.monotonic()
        say(f"tokenizer: training {type(config).__name__} ...")
        with waiting("tokenizer: training"):
            tokenizer = config.train(text.train_texts)
        with writing(folder, ROOM):
            tokenizer.save(folder)
        asked, size = getattr(config, "vocab_size", None), tokenizer.vocab.size
        fewer = f" (tokenizer.vocab_size={asked:,} asks for more than the text supports)" if asked and asked > size else ""
        say(f"tokenizer: {size:,} ids{fewer}, {time.monotonic() - begun:.1f} s")
    return load_tokenizer(folder)


def _require_built(build: bool, what: str, path: Path) -> None:
    if not build:
        raise ConfigError(
            f"data: this {what} is not there yet, and of several processes none builds it: {path}. Make it first, with the same "
            "recipe and flags and JAXLM_CACHE, in a place that all hosts see or on each: jaxlm data build RECIPE"
        )


def store_for(text: Text, tokenizer: Tokenizer, say: Say = print, *, build: bool = True) -> Store:
    """Builds the token store, or opens the one that the same text and tokenizer gave before; with sentences where the text asks
    for them. Raises ConfigError where there is none and `build` is False."""
    settings = text.settings if text.sentences is None else {**text.settings, **sentence_rules(text.sentences)}
    path = default_root() / store_address(text.fingerprints, tokenizer.vocab.digest, settings)
    progress = _Progress()
    require_readable(cache_root(), "JAXLM_CACHE")
    there = (path / HEADER).is_file()
    if not there:
        _require_built(build, "token store", path)
        require_writable(cache_root(), "JAXLM_CACHE")
    documents = () if there else text.documents()  # which reads all of it once, to split it
    with waiting(progress.words):
        store = write_store(path, documents, tokenizer, sentences=text.sentences, progress=progress)
    if progress.num_documents:
        say(f"token store: {path}")
    for line in part_lines(store):
        say(line)
    return store


def part_lines(store: Store) -> list[str]:
    """A line for each part: its split, source and counts."""
    return [
        f"  {row['split']:<10} {row['source']:<16} "
        f"{row['documents']:>9,} documents {row['tokens']:>13,} tokens {row['bytes']:>13,} bytes"
        for row in store.describe()
    ]


class _Progress:
    """How many documents are encoded."""

    def __init__(self) -> None:
        self.num_documents = 0

    def __call__(self, num_documents: int) -> None:
        self.num_documents = num_documents

    def words(self) -> str:
        return f"token store: {self.num_documents:,} documents" if self.num_documents else "token store: reading the text"
