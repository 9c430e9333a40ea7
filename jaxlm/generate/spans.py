"""Fill gaps with a model that writes what was cut out of a text (T5, UL2): each gap of any number of tokens."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlm.core import ConfigError
from jaxlm.core.vocab import Gaps
from jaxlm.generate.beam import Beams, search
from jaxlm.generate.candidates import check_top
from jaxlm.generate.gaps import MASK, around_gaps
from jaxlm.tokenizer.base import Tokenizer

MOST = 32
"""Tokens of an answer, those of all gaps and their sentinels together, for each of its gaps."""


class Answer(NamedTuple):
    """What a model writes for all gaps of a text."""

    spans: tuple[str, ...]
    """For each gap, in the order of the text; "" where the answer left it out."""
    text: str
    """The whole, its gaps filled."""
    log_prob: float
    """Natural logarithm of its probability, that it then ends included; of what was written in several ways, by other tokens or
    with another end, that of all which were found."""


def fill_spans(
    model: Any, params: Any, tokenizer: Tokenizer, prompts: Sequence[str], gaps: Gaps, *, top: int = 5
) -> list[list[Answer]]:
    """Of each prompt the likeliest answers that a beam search of `top` beams finds, the likeliest first, as many or fewer.

    The encoder reads the text with a sentinel in place of each [MASK], and its end; the decoder writes the sentinels, each
    followed by what it stands for (arXiv:1910.10683, section 3.1.4). As with `fill_mask`, the space in front of [MASK] belongs
    to what is sought where the tokenizer's tokens begin with it.

    Args:
      gaps: how the objective has it, as `Objective.gaps`.

    Raises:
      ConfigError: a prompt has no [MASK], more than there are sentinels for, or does not fit the context.
    """
    check_top(top, 1, tokenizer.vocab.size)
    return [_answers(model, params, tokenizer, around_gaps(tokenizer, prompt), gaps, top) for prompt in prompts]


def _answers(model: Any, params: Any, tokenizer: Tokenizer, pieces: list[np.ndarray], gaps: Gaps, top: int) -> list[Answer]:
    vocab, num_gaps = tokenizer.vocab, len(pieces) - 1
    if num_gaps > len(gaps.marks):
        raise ConfigError(f"--prompt: it has {num_gaps} times {MASK}, and the run sentinels for {len(gaps.marks)}. Write less.")
    marks = gaps.marks[:num_gaps]
    kept = [part for ids_N, mark in zip(pieces, marks, strict=False) for part in (ids_N, [mark])]
    read_N = np.concatenate([list(gaps.start), *kept, pieces[-1], [vocab.eos]]).astype(np.int32)
    limit = MOST * num_gaps if model.max_length is None else min(MOST * num_gaps, model.max_length - 1)
    if model.max_length is not None and len(read_N) > model.max_length:
        raise ConfigError(
            f"--prompt: its {len(read_N)} tokens are more than the {model.max_length} that the model's encoder can tell apart. "
            "Shorten it; a sentinel for each gap and the end token are included."
        )
    (found,) = search(
        model,
        params,
        [np.array([vocab.bos], np.int32)],
        limits=[limit],
        beams=Beams(top, length_penalty=0.0),
        stop_ids={vocab.eos, *vocab.sentinels}.difference(marks),
        encoder_texts=[read_N],
        vocab_size=vocab.size,
    )
    answers: dict[tuple[str, ...], Answer] = {}
    for written in found:
        answer = _answer(tokenizer, pieces, marks, written.ids, sum(written.log_probs))
        same = answers.get(answer.spans)
        total = answer.log_prob if same is None else float(np.logaddexp(same.log_prob, answer.log_prob))
        answers[answer.spans] = answer._replace(log_prob=total)
    return sorted(answers.values(), key=lambda answer: -answer.log_prob)


def _answer(
    tokenizer: Tokenizer, pieces: list[np.ndarray], marks: Sequence[int], written: Sequence[int], log_prob: float
) -> Answer:
    vocab = tokenizer.vocab
    of_gap: dict[int, list[int]] = {mark: [] for mark in marks}
    gap: list[int] = []  # what comes before a first sentinel stands for nothing
    for id in written:
        if id in of_gap:
            gap = of_gap[id]
        elif not vocab.special_V[id]:
            gap.append(id)
    spans = list(of_gap.values())
    whole = [part for kept_N, span in zip(pieces, spans, strict=False) for part in (kept_N, span)]
    text = tokenizer.decode(np.concatenate([*whole, pieces[-1]]).astype(np.int32))
    return Answer(tuple(tokenizer.decode(span) for span in spans), text, log_prob)
