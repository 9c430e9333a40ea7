"""What a model held likely at one place."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from jaxlm.core import ConfigError
from jaxlm.tokenizer.base import Tokenizer


class Candidate(NamedTuple):
    """A token with the probability that the model gives it, at temperature 1, among the tokenizer's tokens."""

    token: str
    """As the tokenizer shows it to a person; a space is part of it where the tokenizer has it so."""
    id: int
    probability: float

    @property
    def bits(self) -> float:
        """-log2 of the probability."""
        return -math.log2(self.probability) if self.probability > 0 else math.inf


def candidates(tokenizer: Tokenizer, ids: Iterable[int], log_probs: Iterable[float]) -> tuple[Candidate, ...]:
    """The candidates of these ids, in this order; natural logarithms."""
    found = [(int(id), math.exp(log_prob)) for id, log_prob in zip(ids, log_probs, strict=True)]
    tokens = tokenizer.pieces([id for id, _ in found])
    return tuple(Candidate(token, id, probability) for token, (id, probability) in zip(tokens, found, strict=True))


def check_top(top: int, least: int, most: int) -> None:
    """Raises ConfigError where `top` is less than `least` or more than `most`, the number of tokens that can be told."""
    if not least <= top <= most:
        raise ConfigError(f"--top: {top} is not within {least} and {most}, the number of tokens there are to tell.")
