"""How near a model's translations come to a person's: BLEU (Papineni et al. 2002), as sacrebleu counts it (arXiv:1804.08771)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxlm.core import ConfigError
from jaxlm.generate import generate_texts
from jaxlm.tokenizer.base import Tokenizer

AT_ONCE = 64
"""Texts that are translated together."""


class Bleu(NamedTuple):
    """A score with all that it takes to compare it with another."""

    score: float
    """0 to 100."""
    signature: str
    """sacrebleu's: its version, the tokenizer of its words, and whether case counts."""


def translate(
    model: Any, params: Any, tokenizer: Tokenizer, texts: Sequence[str], *, num_beams: int = 4, length_penalty: float = 0.6
) -> list[str]:
    """The likeliest answer of an encoder-decoder to each text, by beam search; texts of like length are made together.

    Raises:
      ConfigError: the model has no encoder, or a text does not fit it.
    """
    if not model.encoder:
        raise ConfigError("translation: the model has no encoder, so it writes a text on; use a run of an encoder-decoder")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    answers = [""] * len(texts)
    for first in range(0, len(order), AT_ONCE):
        places = order[first : first + AT_ONCE]
        given = [texts[i] for i in places]
        settings = {"num_beams": num_beams, "length_penalty": length_penalty}
        for i, answer in zip(places, generate_texts(model, params, tokenizer, given, **settings), strict=True):
            answers[i] = answer
    return answers


def bleu(texts: Sequence[str], references: Sequence[str]) -> Bleu:
    """Of a whole test set with one reference a text; words as "13a" cuts them, case as it is in both.

    Raises:
      ConfigError: sacrebleu is not installed, or there are not as many references as texts.
    """
    if len(texts) != len(references):
        raise ConfigError(f"BLEU: {len(texts)} texts and {len(references)} references were given; each text needs its own")
    metric = require_sacrebleu().BLEU(tokenize="13a")
    score = metric.corpus_score(list(texts), [list(references)]).score
    return Bleu(float(score), str(metric.get_signature()))


def require_sacrebleu() -> Any:
    """Its module of metrics. Raises ConfigError where it is not installed."""
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise ConfigError(
            f"BLEU needs the package sacrebleu, which cannot be imported ({error}). pip install 'jaxlm[bleu]'"
        ) from error
    return metrics
