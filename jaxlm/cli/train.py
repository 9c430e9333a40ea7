"""`jaxlm train`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlm.cli.allocator import keep_pages
from jaxlm.cli.command import Command, flag, positional, rest
from jaxlm.cli.recipe_help import recipe_help
from jaxlm.core import ConfigError


@dataclass(frozen=True)
class TrainArguments:
    """The words of `jaxlm train`."""

    recipe: str = positional("A .py file, a shipped recipe's name (quickstart, nano/gpt2), a run folder or its config.json.")
    run_dir: Path | None = flag(None, "DIR", "The run folder. Without it: runs/NAME, NAME that of the recipe.")
    from_: str | None = flag(None, "RUN", "Begin with the weights of this run, at step 0.")
    dry_run: bool = flag(False, "", "Train nothing: say how the state lies on the mesh, what the compiled step sends and needs.")
    devices: int | None = flag(None, "N", "With --dry-run: for so many simulated devices.")
    topology: str | None = flag(None, "SLICE", "With --dry-run: for this TPU slice, such as v5e:16x16, which need not be there.")
    trust: bool = flag(False, "", "Where a config.json names code that is not jaxlm's own, run it.")
    overrides: tuple[str, ...] = rest("[--dial VALUE ...] [--group.field VALUE ...]")


def run(arguments: TrainArguments) -> Mapping[str, Any]:
    """Trains, or goes on where the run stopped; returns the run's summary. Or tries how it would be."""
    if arguments.dry_run:
        return _dry_run(arguments)
    for given, name in ((arguments.devices, "--devices"), (arguments.topology, "--topology")):
        if given is not None:
            raise ConfigError(f"{name} {given}: goes with --dry-run; training takes the devices that are here")
    from jaxlm.run.recipe import load_recipe
    from jaxlm.run.saved import read_json

    recipe = load_recipe(arguments.recipe, arguments.overrides, trust=arguments.trust)
    from jaxlm.run.api import train_recipe

    folder = train_recipe(recipe, run_dir=arguments.run_dir, start_from=arguments.from_, trust=arguments.trust)
    return {"run_dir": str(folder.path), **read_json(folder.summary)}


def _dry_run(arguments: TrainArguments) -> Mapping[str, Any]:
    for given, name in ((arguments.run_dir, "--run-dir"), (arguments.from_, "--from")):
        if given is not None:
            raise ConfigError(f"{name} {given}: goes with training; --dry-run reads and writes no run")
    if arguments.devices is not None and arguments.topology is not None:
        raise ConfigError("--devices and --topology: give one of them")
    from jaxlm.plan.devices import described, simulated

    devices = None  # before a recipe is run, which may ask jax for its devices
    if arguments.devices is not None:
        devices = simulated(arguments.devices)
    elif arguments.topology is not None:
        devices = described(arguments.topology)
    from jaxlm.run.dry_run import dry_run
    from jaxlm.run.recipe import load_recipe

    return dry_run(load_recipe(arguments.recipe, arguments.overrides, trust=arguments.trust), devices)


COMMAND = Command(
    name="train",
    summary="Train a model, or go on with a run that was stopped: the same command again.",
    arguments=TrainArguments,
    run=run,
    examples=(
        "jaxlm train quickstart",
        "jaxlm train quickstart --text my-notes.txt",
        "jaxlm train nano/gpt2 --train.steps 200 --optimizer.learning-rate 3e-4 --run-dir runs/slow",
        "jaxlm train my_recipe.py --from runs/quickstart",
        "jaxlm train nano/gpt2 --dry-run --devices 8 --mesh.data 1 --mesh.fsdp 8",
        "jaxlm train quickstart --help     every dial and field, with type, default and meaning",
    ),
    before=keep_pages,
    more_help=recipe_help,
)
