"""`jaxlm selftest`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxlm.cli.command import Command, flag, positional, rest
from jaxlm.cli.recipe_help import recipe_help
from jaxlm.core import RunError

MARKS = {True: "\N{CHECK MARK}", False: "\N{BALLOT X}", None: "-"}


@dataclass(frozen=True)
class SelftestArguments:
    """The words of `jaxlm selftest`."""

    recipe: str = positional("A .py file or a shipped recipe's name (nano/gpt2); its model has at most 20 million parameters.")
    meshes: bool = flag(False, "", "Compare the losses of 50 steps on every mesh that 8 devices allow, and no laws.")
    overrides: tuple[str, ...] = rest("[--dial VALUE ...] [--group.field VALUE ...]")


def run(arguments: SelftestArguments) -> Mapping[str, Any]:
    """Prints a line a law; raises where one is broken."""
    from jaxlm.run.meshes import same_on_meshes
    from jaxlm.run.recipe import load_recipe
    from jaxlm.run.selftest import selftest
    from jaxlm.train.waiting import waiting

    recipe = load_recipe(arguments.recipe, arguments.overrides)
    found: list[dict[str, Any]] = []
    verdicts = same_on_meshes(recipe) if arguments.meshes else selftest(recipe)
    while True:
        with waiting("  trying the next law"):
            group, verdict = next(verdicts, (None, None))
        if verdict is None:
            break
        if not found or group != found[-1]["group"]:
            print(f"\n{group}")
        found.append({"group": group, **verdict._asdict()})
        bound = f"  (bound {verdict.bound})" if verdict.bound else ""
        print(f"  {MARKS[verdict.holds]} {verdict.law:<72} {verdict.measured}{bound}", flush=True)
    broken = [entry for entry in found if entry["holds"] is False]
    tried = sum(entry["holds"] is not None for entry in found)
    if broken:
        error = RunError(
            f"{len(broken)} of {tried} laws are broken: {'; '.join(entry['law'] for entry in broken)}. "
            "The table above says what was found"
        )
        error.details = {"laws": found}
        raise error
    print(f"\nall {tried} laws hold")
    return {"laws": found, "holds": True}


def simulate_devices() -> None:
    """Lets jax show eight devices on a CPU, for the laws of sharding."""
    from jaxlm.cli.allocator import computes_on_cpu

    flag = "--xla_force_host_platform_device_count"
    if computes_on_cpu() and flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}=8".strip()


COMMAND = Command(
    name="selftest",
    summary="Hold a recipe's model and objective to the laws that all models and objectives must keep.",
    arguments=SelftestArguments,
    before=simulate_devices,  # before anything imports jax, as recipes do
    run=run,
    more_help=recipe_help,
    examples=(
        "jaxlm selftest nano/gpt2",
        "jaxlm selftest my_objective.py --objective.gamma 1.5",
        "jaxlm selftest nano/gpt2 --meshes",
        "jaxlm selftest quickstart --model.decoder.0.repeats 2     a smaller model is tried sooner",
    ),
)
