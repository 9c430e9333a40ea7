"""All laws, and how they are judged: a law that breaks by an error is broken."""

import traceback
from collections.abc import Callable, Iterator

from jaxlm.laws import counts, execution, generation, learning, rows, sight, sums
from jaxlm.laws.subject import Subject, Verdict

Law = Callable[[Subject], Iterator[Verdict]]

LAWS: dict[str, tuple[Law, ...]] = {
    "model": (execution.named_axes, sight.sight, counts.parameters, counts.flops, generation.cached),
    "rows": (rows.fields, rows.purity, rows.padding, rows.targets, rows.documents, rows.statistics),
    "loss": (sums.names, sums.halves, sums.weight_zero, sight.through_loss),
    "step": (execution.microbatches, execution.layers, execution.sharding, learning.overfit),
}
"""By what they speak of; each yields one verdict or some."""


def judge(subject: Subject) -> Iterator[tuple[str, Verdict]]:
    """(group, verdict), one after another, as they are found."""
    return ((group, verdict) for group, laws in LAWS.items() for law in laws for verdict in verdicts(law, subject))


def verdicts(law: Law, subject: Subject) -> Iterator[Verdict]:
    """Those of one law, named in its place where an error ends it."""
    try:
        yield from law(subject)
    except Exception as error:
        said = (str(error).strip() or "no words").split("\n")[0]
        frame = traceback.extract_tb(error.__traceback__)[-1]
        sentence = (law.__doc__ or law.__name__).split("\n")[0].rstrip(".")
        yield Verdict(sentence, False, f"{type(error).__name__} in {frame.filename}:{frame.lineno}: {said}")
