"""What an objective is: how a row is prepared, what it is weighed by, what is summed."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxlm.core import ConfigError, Example, Sums, Vocab, Window
from jaxlm.core.vocab import ENDS, Gaps

Array = Any


class Share(NamedTuple):
    """How often something that `prepare` draws came, of how many draws; `jaxlm selftest` holds it to its probability."""

    name: str
    probability: float
    """Of each draw of this row; another row may have another."""
    hits: int
    trials: int


class Objective:
    """A way to learn from text. Extend it with a frozen dataclass; its fields are its settings.

    `prepare` runs on the host (in data workers too) and is numpy alone; `weights` and `loss` are traced by jax.
    """

    num_windows: int = 1
    """2 for pairs: windows[0] is the example's own; the others come from other documents, drawn by its key."""
    overlap: int = 0
    """Tokens that a window shares with the next."""
    attention: Literal["causal", "bidirectional", "any"] = "any"
    """What it asks of the model."""
    streams: tuple[str, ...] = ()
    """Of parallel text: the streams that it reads, whole; `windows[0]` is the first, which is learnt, its `others` hold the rest.
    Empty: the text's first."""
    heads: tuple[str, ...] = ()
    """The model's heads that it needs beside "lm"."""
    num_token_types: int = 0
    """Kinds of tokens that its rows tell apart; 0: one."""
    sentences: str | None = None
    """Language (ISO 639 code, as "en") by whose rules the text's sentences are found and kept beside it; None: not at all."""
    prefix: bool = False
    """Whether a row's documents begin with a prefix that sees itself both ways: then generation reads a prompt so."""
    encoder: bool = False
    """Whether its rows hold a second text, for the model's encoder: `encoder_tokens`, `encoder_positions` and `encoder_segments`,
    all of one length, which may be another than that of the decoder's fields. A segment of the decoder reads the encoder's of
    the same number."""
    pair: bool = False
    """Whether its model is a pair of a generator and a discriminator."""
    ends: tuple[str, str] = ENDS
    """What stands at the ends of a text in a row, by the names of `Vocab`: fill-mask, scores and vectors are asked so, too."""
    bits_name: str | None = None
    """Name under which evaluation reports its "nll" in bits a byte of the original text; None: not at all."""

    def least_length(self) -> int:
        """The shortest rows in which anything is asked."""
        return 1

    def num_sentinels(self, seq_len: int) -> int:
        """Sentinels that rows of `seq_len` need of the tokenizer."""
        return 0

    def check(self, vocab: Vocab, seq_len: int) -> None:
        """Raises ConfigError where the tokenizer lacks a token or mark that rows of `seq_len` need; asked before anything is
        computed. What a config tells, `least_length` and `num_sentinels`, is held against it before any text is read, too."""
        require_room(self, seq_len)
        require_sentinels(self, seq_len, len(vocab.sentinels))

    def raw_length(self, seq_len: int) -> int:
        """Tokens of one window, to make one row of `seq_len`."""
        return seq_len

    def row_length(self, seq_len: int) -> int:
        """Tokens and targets of a row; what an encoder reads beside them has `seq_len`."""
        return seq_len

    def num_targets(self, num_tokens: int, num_documents: int) -> int:
        """Tokens of a text (bos and eos of each document among `num_tokens`) that can be targets; for bits a byte."""
        return num_tokens

    def gaps(self, vocab: Vocab) -> Gaps | None:
        """How it is asked for what is missing in a text, where a decoder learns to write that; None: it does not."""
        return None

    def prepare(self, windows: tuple[Window, ...], rng: np.random.Generator, vocab: Vocab, seq_len: int) -> Example:
        """One row from its windows; a pure function of its arguments. Must take windows of padding alone."""
        raise NotImplementedError(f"{type(self).__name__} must define prepare()")

    def shares(self, windows: tuple[Window, ...], example: Example, vocab: Vocab) -> Iterable[Share]:
        """What was drawn for this row, counted; none by default."""
        return ()

    def weights(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The denominators, scalars, one a term, from the batch alone: known before any gradient."""
        return {"tokens": batch["weights"].astype("float32").sum()}

    def loss(self, model: Any, params: Any, batch: Mapping[str, Array], rng: Any) -> Sums:
        """The numerators of the same terms. `rng` is one key for the step; rows fold their position into it."""
        raise NotImplementedError(f"{type(self).__name__} must define loss()")

    def nll(self, model: Any, params: Any, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        """Nats of each target, and their weights: for `bits_name`, where `loss` watches no metric of the name "nll"."""
        raise NotImplementedError(f"{type(self).__name__} has a bits_name, so it must define nll(), or watch it in loss()")


def require_settings_read(objective: Objective) -> None:
    """Raises ConfigError where a loss of one's own replaces one that reads a setting, and the setting, which is given, is
    not read any more."""
    if not inspect.isfunction(inspect.unwrap(type(objective).loss)):
        return  # its code is not to be seen
    own, *replaced = [names_read(cls, "loss") for cls in type(objective).__mro__ if "loss" in vars(cls)]
    for setting in fields(objective):  # type: ignore[arg-type]  # whatever a recipe holds is a dataclass
        value = getattr(objective, setting.name)
        if setting.name in set().union(*replaced) - own and value != setting.default:
            raise ConfigError(
                f"objective.{setting.name}={value!r} would do nothing: {type(objective).__name__}'s own loss does not read it; "
                f"leave it at {setting.default!r}, or read self.{setting.name} there"
            )


def names_read(cls: type, method: str) -> set[str]:
    """All names in the code of a class's method, and in that of the methods which it names: the class's, and those of the same
    name that they replace, since these may be called by `super()` or by their class."""
    found: set[str] = set()
    left: list[Any] = [getattr(cls, method)]
    while left:
        part = left.pop()
        code = part if inspect.iscode(part) else getattr(inspect.unwrap(part), "__code__", None)
        if code is not None:
            new = set(code.co_names) - found
            found |= new
            left += [const for const in code.co_consts if inspect.iscode(const)]  # functions within it
            left += [vars(one)[name] for one in cls.__mro__ for name in new if callable(vars(one).get(name))]
    return found


def require_sentinels(objective: Objective, seq_len: int, has: int) -> None:
    """Raises ConfigError where the tokenizer has too few sentinels for rows of `seq_len`."""
    if has < (number := objective.num_sentinels(seq_len)):
        raise ConfigError(
            f"objective {type(objective).__name__} needs {number} sentinels and the tokenizer has {has}; give one that has them: "
            f"tokenizer.num_sentinels={number} where it is made here"
        )


def require_room(objective: Objective, seq_len: int) -> None:
    """Raises ConfigError where rows are too short for anything to be asked in them."""
    if seq_len < (needed := objective.least_length()):
        raise ConfigError(f"data.seq_len={seq_len} is too short: objective {type(objective).__name__} needs at least {needed}")
