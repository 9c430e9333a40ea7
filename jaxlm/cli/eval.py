"""`jaxlm eval`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional
from jaxlm.report.replaced import judged


@dataclass(frozen=True)
class EvalArguments:
    """The words of `jaxlm eval`."""

    run: str = positional("A run folder.")
    trust: bool = flag(False, "", "Where its config.json names code that is not jaxlm's own, run it.")


def run(arguments: EvalArguments) -> Mapping[str, Any]:
    """Evaluates the newest checkpoint; prints and returns its metrics."""
    from jaxlm.run.inspect import evaluated

    metrics = evaluated(arguments.run, trust=arguments.trust)
    width = max(map(len, metrics))
    print("\n".join(f"{name:<{width}}  {value:.6g}" for name, value in metrics.items()))
    if (said := judged(metrics)) is not None:
        print(said)
    return metrics


COMMAND = Command(
    name="eval",
    summary="Evaluate a run's newest checkpoint over all of its held-out text.",
    arguments=EvalArguments,
    run=run,
    examples=("jaxlm eval runs/quickstart", "jaxlm eval runs/quickstart --json"),
)
