"""`jaxlm fill-mask`."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional


@dataclass(frozen=True)
class FillMaskArguments:
    """The words of `jaxlm fill-mask`."""

    run: str = positional("A run folder of a model that looks both ways (objective MaskedLM).")
    prompt: tuple[str, ...] = flag(MISSING, "TEXT", "A text with [MASK] for each token that is sought; may be given several times.")
    top: int = flag(5, "N", "Show the N likeliest tokens of each [MASK].")
    trust: bool = flag(False, "", "Where the run's model is its recipe's own code, run it.")


def run(arguments: FillMaskArguments) -> Mapping[str, Any]:
    """Prints the likeliest tokens of each gap; returns them for all gaps of all prompts in order, and the filled texts."""
    from jaxlm.generate import fill_mask
    from jaxlm.run.api import load

    loaded = load(arguments.run, trust=arguments.trust)
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


COMMAND = Command(
    name="fill-mask",
    summary="Fill the gaps of a text with a trained bidirectional model.",
    arguments=FillMaskArguments,
    run=run,
    examples=(
        'jaxlm fill-mask runs/nano-bert --prompt "The cat [MASK] on the mat."',
        'jaxlm fill-mask runs/nano-bert --prompt "return [MASK] if [MASK] else None" --top 3',
    ),
)
