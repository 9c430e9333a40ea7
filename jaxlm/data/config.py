"""The `data` group: which text, how it is split, packed and read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxlm.core import ConfigError, Source, Step
from jaxlm.core.errors import require_at_least


@dataclass(frozen=True)
class DataConfig:
    """Text and the rows made of it."""

    sources: tuple[Source, ...]
    """Where the text comes from."""
    seq_len: int = 256
    """Tokens of one row."""
    weights: tuple[float, ...] = ()
    """Share of the rows that each source gives; empty: each by its size."""
    final_weights: tuple[float, ...] = ()
    """Shares at the schedule's end, reached in a straight line from `weights`; empty: shares stay as they are."""
    steps: tuple[Step, ...] = ()
    """Passes over all documents before the split: clean, filter, deduplicate."""
    split: Literal["auto", "hash", "tail"] = "auto"
    """How validation text is held out: by document digest, or the last part of each source; auto: tail under 100 documents."""
    validation_fraction: float = 0.1
    """Share of each source's characters (tail) or documents (hash) that is held out."""
    validation_sources: tuple[str, ...] = ()
    """Names of the sources that are held out from and evaluated on; empty: all. The others are trained on whole."""
    packing: Literal["windows", "best_fit", "documents"] = "windows"
    """Concatenate and cut; keep documents whole where they fit; or one document a row."""
    num_workers: int = 0
    """Processes that prepare rows; 0: a thread of the trainer's own."""

    def __post_init__(self) -> None:
        require_at_least(1, "data", self, "seq_len")
        require_at_least(0, "data", self, "num_workers")
        for number, source in enumerate(self.sources if isinstance(self.sources, tuple | list) else ()):
            if not isinstance(source, Source | str | Path):  # the latter are told apart where types are checked
                raise ConfigError(
                    f"data.sources.{number}: {type(source).__name__} was given, a source is allowed. Records or functions in "
                    "memory cannot be saved with the run and read again when it goes on: write a class that extends "
                    "jaxlm.corpus.Records."
                )
