"""`jaxlm fill-mask`."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional


@dataclass(frozen=True)
class FillMaskArguments:
    """The words of `jaxlm fill-mask`."""

    run: str = positional("A run folder of a model that fills gaps (objectives MaskedLM, SpanCorruption and their like).")
    prompt: tuple[str, ...] = flag(
        MISSING,
        "TEXT",
        "A text with [MASK] for each token that is sought, or of an encoder-decoder each stretch; may be given often.",
    )
    top: int = flag(5, "N", "Show the N likeliest tokens of each [MASK]; of an encoder-decoder as many answers.")
    trust: bool = flag(False, "", "Where the run's model is its recipe's own code, run it.")


def run(arguments: FillMaskArguments) -> Mapping[str, Any]:
    """Prints the likeliest tokens of each gap and the filled text; returns `prompts`, `filled`, and `masks`: the tokens of all gaps
    of all prompts, in order. Of an encoder-decoder that learnt to fill gaps: `answers` in place of `masks`, those of each prompt,
    each to all of its gaps."""
    from jaxlm.generate import fill_mask
    from jaxlm.run.api import load

    loaded = load(arguments.run, trust=arguments.trust)
    if loaded.gaps is not None:
        return _spans(arguments, loaded)
    found = fill_mask(loaded.model, loaded.params, loaded.tokenizer, arguments.prompt, top=arguments.top, ends=loaded.ends)
    for prompt, filled in zip(arguments.prompt, found, strict=True):
        print(prompt)
        for number, gap in enumerate(filled.masks, 1):
            print(f"  [MASK] {number}: " + "  ".join(f"{c.token!r} {c.probability:.3f}" for c in gap))
        print(f"  {filled.text}")
    return {
        "prompts": list(arguments.prompt),
        "masks": [[c._asdict() for c in gap] for filled in found for gap in filled.masks],
        "filled": [filled.text for filled in found],
    }


def _spans(arguments: FillMaskArguments, loaded: Any) -> Mapping[str, Any]:
    found = loaded.fill_spans(list(arguments.prompt), top=arguments.top)
    for prompt, answers in zip(arguments.prompt, found, strict=True):
        print(prompt)
        for answer in answers:
            print(f"  {math.exp(answer.log_prob):.3f}  " + "  ".join(map(repr, answer.spans)))
        print(f"  {answers[0].text}")
    return {
        "prompts": list(arguments.prompt),
        "answers": [[answer._asdict() for answer in answers] for answers in found],
        "filled": [answers[0].text for answers in found],
    }


COMMAND = Command(
    name="fill-mask",
    summary="Fill the gaps of a text with a trained bidirectional model, or an encoder-decoder.",
    arguments=FillMaskArguments,
    run=run,
    examples=(
        'jaxlm fill-mask runs/nano-bert --prompt "The cat [MASK] on the mat."',
        'jaxlm fill-mask runs/nano-bert --prompt "return [MASK] if [MASK] else None" --top 3',
    ),
)
