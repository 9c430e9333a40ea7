"""A trained run, or any run folder with a checkpoint, ready to be used."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import ConfigError, RunError, Vocab
from jaxlm.core.paths import require_readable
from jaxlm.core.vocab import Gaps, Reading
from jaxlm.models.layers.base import Settings
from jaxlm.objectives.base import Objective
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.rules import Partitioner
from jaxlm.parallel.shardings import param_shardings
from jaxlm.run.check import as_path, construct, kind, require_names
from jaxlm.run.files import RunFolder
from jaxlm.run.saved import read_data, read_group, read_json
from jaxlm.run.vocab import with_vocab
from jaxlm.tokenizer import load_tokenizer
from jaxlm.tokenizer.base import Tokenizer


@dataclass(frozen=True)
class Loaded:
    """A model with its parameters and tokenizer, and where they lie."""

    dir: Path
    model: Any
    params: Any
    tokenizer: Tokenizer
    step: int
    """Of the checkpoint."""
    seq_len: int
    """Tokens of the rows that it was trained on."""
    prefix: bool
    """Whether it learnt to read the beginning of a text both ways: it then reads prompts so."""
    ends: tuple[str, str]
    """What stood at the ends of a text, by the names of `Vocab`, where it learnt to fill gaps: texts are given to it so."""
    gaps: Gaps | None
    """How it is asked for what is missing in a text, where its decoder learnt to write that; None: it did not."""
    summary: dict[str, Any]
    """The run's last values; {} where it has not come to its end."""

    def generate(self, prompts: str | list[str], **settings: Any) -> list[str]:
        """Continuations of each prompt; see `jaxlm.generate.generate_texts` for settings (max_tokens, temperature, ...)."""
        from jaxlm.generate import SETTINGS, Continuation, complete

        require_names(settings, SETTINGS, "generate", "it")
        how = construct(
            lambda: Continuation.of(**{"prefix": self.prefix, **settings}), "generate"
        )  # a wrong type is one message too
        given = _texts(prompts, "generate: prompts")
        return [completion.text for completion in complete(self.model, self.params, self.tokenizer, given, how)]

    def fill_mask(self, prompts: str | list[str], top: int = 5) -> list[Any]:
        """Of each prompt with [MASK]s: the likeliest pieces for each; see `jaxlm.generate.fill_mask`."""
        from jaxlm.generate import fill_mask

        return fill_mask(self.model, self.params, self.tokenizer, _texts(prompts, "fill_mask: prompts"), top=top, ends=self.ends)

    def fill_spans(self, prompts: str | list[str], top: int = 5) -> list[Any]:
        """Of each prompt with [MASK]s: the likeliest answers of an encoder-decoder that learnt to fill gaps; see
        `jaxlm.generate.fill_spans`. Raises ConfigError where it did not."""
        from jaxlm.generate import fill_spans

        given = _texts(prompts, "fill_spans: prompts")
        if self.gaps is None:
            raise ConfigError(
                "fill_spans: the run did not learn to write what stands in gaps; use one with objective SpanCorruption or "
                "mixture_of_denoisers"
            )
        return fill_spans(self.model, self.params, self.tokenizer, given, self.gaps, top=top)

    def score(self, texts: str | list[str]) -> list[Any]:
        """What each token of each text costs the model, in nats and bits; see `jaxlm.evaluate.score`."""
        from jaxlm.evaluate import score

        return score(self.model, self.params, self.tokenizer, _texts(texts, "score: texts"), ends=self.ends)

    def embed(self, texts: str | list[str], pooling: Literal["mean", "cls"] | None = "mean") -> np.ndarray:
        """A vector of each text, or those of its tokens; see `jaxlm.evaluate.embed`."""
        from jaxlm.evaluate import embed

        return embed(self.model, self.params, self.tokenizer, _texts(texts, "embed: texts"), pooling=pooling, ends=self.ends)


def load_run(where: str | Path, *, trust: bool = False) -> Loaded:
    """The newest checkpoint of a run folder. Needs neither the objective's class nor the text.

    Raises:
      ConfigError: it is no run folder, or its model is the recipe's own and `trust` is not given.
      RunError: it has no checkpoint, or a damaged one.
    """
    folder = run_folder(where)
    step = newest_step(folder)
    model, tokenizer = model_and_tokenizer(folder, trust=trust)
    seq_len = read_json(folder.config)["data"]["seq_len"]
    about = step, seq_len, *_reading(folder, tokenizer.vocab, trust), _summary(folder)
    return Loaded(folder.path, model, restored_params(folder, model), tokenizer, *about)


def run_folder(where: str | Path, key: str = "RUN") -> RunFolder:
    """The run folder that RUN, or the flag `key`, means. Raises ConfigError where there is none."""
    path = as_path(where, key)
    require_readable(path, key)
    if not (path / "config.json").is_file():
        what = "does not exist" if not path.exists() else "is no run folder (it has no config.json)"
        raise ConfigError(f"{key}: {where} {what}. Give a folder that `jaxlm train` made, such as runs/quickstart")
    return RunFolder(path)


def newest_step(folder: RunFolder) -> int:
    """The step of the newest checkpoint. Raises RunError where there is none."""
    step = folder.last_step()
    if step is None:
        raise RunError(f"{folder.path} has no checkpoint yet; train it first: jaxlm train {folder.config}")
    return step


def run_tokenizer(folder: RunFolder) -> Tokenizer:
    """The tokenizer that the folder has. Raises RunError where it is not the one that the run was trained with."""
    tokenizer = load_tokenizer(folder.tokenizer)
    trained = read_data(folder.data)["tokenizer"] if folder.data.is_file() else None
    if trained is not None and trained != tokenizer.vocab.digest:
        raise RunError(
            f"{folder.tokenizer} is not the tokenizer that the run was trained with (digest {tokenizer.vocab.digest[:12]}, "
            f"{folder.data.name} says {trained[:12]}). Bring the run's own back"
        )
    return tokenizer


def model_and_tokenizer(folder: RunFolder, *, trust: bool = False) -> tuple[Any, Tokenizer]:
    """The model with its vocabulary filled in, and the tokenizer, as the folder has them."""
    tokenizer = run_tokenizer(folder)
    return with_vocab(read_group(folder.config, "model", Settings, trust=trust), tokenizer.vocab.size), tokenizer


def restored_params(folder: RunFolder, model: Any, abstract: Any = None) -> Any:
    """The newest checkpoint's parameters, laid out as `abstract` says; None: over all devices' data axis, copied."""
    if abstract is None:
        import flax.linen as nn
        import jax

        boxed = model.abstract_params()
        abstract = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            nn.unbox(boxed),
            param_shardings(boxed, Partitioner.of(MeshConfig())),
        )
    with _checkpoints(folder) as store:
        return store.restore_params(abstract)


def require_stored(folder: RunFolder, abstract: Any) -> None:
    """Raises RunError where the newest checkpoint has other parameters than these; reads their shapes alone."""
    with _checkpoints(folder) as store:
        store.require_params(abstract)


def reading_of(objective: Objective, vocab: Vocab) -> Reading:
    return Reading(objective.prefix, objective.ends, objective.gaps(vocab))


def _reading(folder: RunFolder, vocab: Vocab, trust: bool) -> Reading:
    """As the run wrote it; where it is of before, as its objective says, or nothing special where that is not trusted."""
    told = read_data(folder.data)["reading"] if folder.data.is_file() else None
    if told is not None:
        return Reading(told["prefix"], tuple(told["ends"]), told["gaps"] and Gaps(*map(tuple, told["gaps"])))
    try:
        return reading_of(read_group(folder.config, "objective", Objective, trust=trust), vocab)
    except ConfigError:
        return reading_of(Objective(), vocab)


def _checkpoints(folder: RunFolder) -> "closing[CheckpointStore]":
    newest_step(folder)
    return closing(CheckpointStore(folder.checkpoints, CheckpointConfig(), read_only=True))


def _texts(given: Any, key: str) -> list[str]:
    """One text or several, as a list. Raises ConfigError where a part is none."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple):
        raise ConfigError(f"{key}: {kind(given)} was given. Allowed: a str, or a list of them.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ConfigError(f"{key}: number {i} is {kind(text)}. Allowed: a str, or a list of them.")
    return list(texts)


def _summary(folder: RunFolder) -> dict[str, Any]:
    return read_json(folder.summary) if folder.summary.is_file() else {}
