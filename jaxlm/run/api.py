"""What the commands and `import jaxlm` call: train a recipe, fit a config, load a run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn

from jaxlm.core import ConfigError
from jaxlm.core.errors import writing
from jaxlm.core.paths import machine_root, require_readable, require_writable
from jaxlm.core.trees import shape_difference
from jaxlm.objectives.base import Objective
from jaxlm.parallel.compiled import keep_compiled
from jaxlm.parallel.peers import Peers
from jaxlm.parallel.rules import Partitioner
from jaxlm.parallel.start import find_place, joined
from jaxlm.report.ending import Own, show_ending
from jaxlm.run.assemble import Materials, assemble, examples
from jaxlm.run.check import as_path, kind
from jaxlm.run.config import RunConfig, with_schedule_length
from jaxlm.run.difference import Difference
from jaxlm.run.files import RunFolder
from jaxlm.run.folder import Decision, decide_folder
from jaxlm.run.loaded import (
    Loaded,
    load_run,
    model_and_tokenizer,
    newest_step,
    reading_of,
    require_stored,
    restored_params,
    run_folder,
    run_tokenizer,
)
from jaxlm.run.lock import lock_folder
from jaxlm.run.overview import overview
from jaxlm.run.prepared import prepared
from jaxlm.run.program import check_config, model_of
from jaxlm.run.recipe import Recipe, recipe_of
from jaxlm.run.saved import needs_trust, read_data, read_json
from jaxlm.run.text import Text, store_for, text_of, tokenizer_for
from jaxlm.run.together import facts_of, require_seen
from jaxlm.run.values import to_json
from jaxlm.tokenizer.base import Tokenizer
from jaxlm.train.log import ROOM
from jaxlm.train.loop import train
from jaxlm.train.pace import steps_within
from jaxlm.train.run import Hook
from jaxlm.train.state import merge
from jaxlm.train.waiting import waiting

Say = Callable[[str], None]


def fit(config: RunConfig, run_dir: str | Path | None = None, hooks: Sequence[Hook] = ()) -> Loaded:
    """Trains a config, or goes on where the run stopped; the same as `jaxlm train`, from Python.

    Args:
      run_dir: the run folder; None: `runs/run`, or the first of run-2, run-3 ... that is free or agrees.
      hooks: called after each line of metrics with (step, state, metrics).

    Returns:
      What `jaxlm.load(run_dir)` returns.
    """
    if not isinstance(config, RunConfig):
        raise ConfigError(f"fit: config is {kind(config)}. Allowed: a RunConfig, such as jaxlm.recipe('quickstart') gives.")
    if not isinstance(hooks, list | tuple) or not all(map(callable, hooks)):
        raise ConfigError(f"fit: hooks is {kind(hooks)}. Allowed: several functions, each called with (step, state, metrics).")
    if (count := find_place().count) > 1:
        raise ConfigError(f"fit: this is one of {count} processes; train in several by `jaxlm train`, or set JAX_NUM_PROCESSES=1")
    recipe = recipe_of(config)
    folder = train_recipe(recipe, run_dir=as_path(run_dir, "run_dir") if run_dir else None, hooks=hooks)
    return load_run(folder.path, trust=True)


def load(where: str | Path, *, trust: bool = False) -> Loaded:
    """A run folder, ready to generate; see `Loaded`."""
    return load_run(where, trust=trust)


def train_recipe(
    recipe: Recipe,
    *,
    run_dir: Path | None = None,
    start_from: str | None = None,
    trust: bool = False,
    hooks: Sequence[Hook] = (),
    say: Say = print,
) -> RunFolder:
    """Trains a recipe to its end; prints what it does.

    Args:
      start_from: a run whose newest weights a new run begins with.
      trust: run the recipe.py of `start_from` if its model is its own.

    Returns:
      The run's folder; its `summary.json` has the last values.
    """
    place = find_place(seconds=recipe.config.mesh.meeting_seconds)
    say = say if place.index == 0 else _say_nothing
    if start_from is None and recipe.run_dir is not None and RunFolder(recipe.run_dir).data.is_file():
        start_from = read_data(RunFolder(recipe.run_dir).data)["from"]  # of a run that is named, all belongs to it
    if start_from is not None:
        require_readable(as_path(start_from, "--from"), "--from")
    text = text_of(recipe.config, recipe.module)
    alone = place.count == 1
    decision = decide_folder(recipe, run_dir, also=lambda folder: _data_differences(folder, text, start_from, build=alone))
    for path, found in decision.passed:
        say(f"{path} holds another run ({found[0]}{', ...' if len(found) > 1 else ''})")
    folder = decision.folder
    if decision.state == "finished" and _summary_step(folder) == decision.step:
        longer = "Raise --train.steps" if recipe.config.train.minutes is None else "Raise --train.steps, with --train.minutes None,"
        say(f"{folder.path} is finished: {decision.step} steps. {longer} to go on, or give another --run-dir")
        return folder
    config = with_schedule_length(recipe.config, decision.saved)
    check_config(config)
    if place.index == 0:
        require_writable(folder.path, "--run-dir")
    facts = {} if alone else facts_of(recipe, to_json(config, recipe.module), decision)
    with joined(place, config.mesh, facts, say) as peers:
        Partitioner.of(config.mesh)  # refused before any text is read
        origin = _origin(config, start_from, trust) if start_from is not None and decision.state == "free" else None
        with lock_folder(folder) if peers.index == 0 else nullcontext():
            _train(recipe, config, text, decision, start_from, origin, peers, hooks, say)
    return folder


def _train(
    recipe: Recipe,
    config: RunConfig,
    text: Text,
    decision: Decision,
    start_from: str | None,
    origin: "_Origin | None",
    peers: Peers,
    hooks: Sequence[Hook],
    say: Say,
) -> None:
    """In a folder that is this run's own."""
    folder, first = decision.folder, peers.index == 0
    if decision.state == "free" and first:  # now, for others that ask meanwhile whose folder this is
        with writing(folder.path, ROOM):
            folder.write_config(to_json(config, recipe.module), recipe.source)
    require_seen(folder.config, peers)
    say(f"compiled programs are kept in {keep_compiled(machine_root() / 'compiled')}")
    materials = _materials(config, text, decision, origin, peers, say)
    if decision.state == "free" and config.train.minutes is not None:
        config = with_schedule_length(_in_time(config, recipe.config, materials, folder, peers, say))
    node = to_json(config, recipe.module)
    digests = {"data": materials.store.digest, "tokenizer": materials.tokenizer.vocab.digest}
    peers.meet("the data", {f"the digest of {name}": digest for name, digest in digests.items()})
    meta = {"config": node, **digests}
    run = assemble(config, materials, folder.path, meta=meta, peers=peers)  # checks that all fits; writes nothing
    if decision.state != "free":
        require_stored(folder, run.layout.abstract.params)
        say(f"{folder.path}: going on after step {decision.step}")
    told = overview(run, materials.store, examples(config, materials, "train"))
    if first:
        with writing(folder.path, ROOM):
            folder.write_config(node, recipe.source)
            if decision.state == "free":  # else it came from there, and a full disk would take it away
                materials.tokenizer.save(folder.tokenizer)
            _write_data(folder, materials, start_from, config.objective)
    say(told)
    state = train(run, hooks=hooks)
    if peers.count > 1:
        return say(f"{folder.path} is finished; `jaxlm generate` and `jaxlm eval` read it on one machine")
    summary, params = read_json(folder.summary), merge(state.params, state.frozen)
    own = Own(model=needs_trust(node["model"]), any=needs_trust(node))
    return show_ending(run, params, materials.tokenizer, materials.store, summary, own, say)


def _say_nothing(_words: str) -> None:
    """What process 0 says is enough."""


def _in_time(config: RunConfig, given: RunConfig, materials: Materials, folder: RunFolder, peers: Peers, say: Say) -> RunConfig:
    """The config as given, with the steps that fit `train.minutes` here."""
    assert config.train.minutes is not None, "asked for where there is a time to keep"
    with waiting("measuring this machine's pace"):
        steps = steps_within(assemble(config, materials, folder.path, peers=peers), config.train.minutes)
    fit = "all" if steps == config.train.steps else f"{steps:,} of"
    say(f"{fit} {config.train.steps:,} steps fit train.minutes={config.train.minutes:g} at this machine's pace")
    return replace(given, train=replace(given.train, steps=steps))


def build_data(recipe: Recipe, say: Say = print) -> Mapping[str, Any]:
    """Makes a recipe's tokenizer and token store ahead of time, where they are missing; returns where they lie.

    Raises:
      ConfigError, RunError: as training would, of all that text and tokenizer decide.
    """
    config = recipe.config
    check_config(config)
    text = text_of(config, recipe.module)
    tokenizer = tokenizer_for(config.tokenizer, text, say)
    model_of(config, tokenizer.vocab)
    store = store_for(text, tokenizer, say)
    rows, _ = (examples(config, Materials(tokenizer, store), split) for split in ("train", "validation"))
    prepared(rows)
    return {"store": str(store.path), "digest": store.digest, "vocab_size": tokenizer.vocab.size, "parts": store.describe()}


class _Origin(NamedTuple):
    """The run whose weights and tokenizer a new run begins with."""

    given: str
    folder: RunFolder
    model: Any
    tokenizer: Tokenizer


def _origin(config: RunConfig, start_from: str, trust: bool) -> _Origin:
    """What `--from` names. Raises ConfigError or RunError where it does not fit the config, or its own checkpoint not it."""
    folder = run_folder(start_from, "--from")
    newest_step(folder)
    model, tokenizer = model_and_tokenizer(folder, trust=trust)
    _require_same_shapes(model_of(config, tokenizer.vocab), model, start_from)
    require_stored(folder, nn.unbox(model.abstract_params()))
    return _Origin(start_from, folder, model, tokenizer)


def _materials(config: RunConfig, text: Text, decision: Decision, origin: _Origin | None, peers: Peers, say: Say) -> Materials:
    """Tokenizer and token store: those of the run that goes on, of the run it starts from, or made of the text."""
    build = peers.count == 1
    if decision.state != "free":
        tokenizer = run_tokenizer(decision.folder)
        return Materials(tokenizer, store_for(text, tokenizer, say, build=build))
    if origin is None:
        tokenizer = tokenizer_for(config.tokenizer, text, say, build=build)
        model_of(config, tokenizer.vocab)  # what the tokenizer lacks is told before all text is encoded
        return Materials(tokenizer, store_for(text, tokenizer, say, build=build))
    folder, model, tokenizer = origin.folder, origin.model, origin.tokenizer
    say(f"--from {origin.given}: its weights at step {folder.last_step()}, and its tokenizer")
    return Materials(
        tokenizer, store_for(text, tokenizer, say, build=build), lambda abstract: restored_params(folder, model, abstract)
    )


def _require_same_shapes(ours: Any, theirs: Any, start_from: str) -> None:
    """Raises ConfigError where two models' parameters differ in name or shape."""
    if found := shape_difference(*(nn.unbox(model.abstract_params()) for model in (theirs, ours))):
        name, there, here = found
        raise ConfigError(
            f"--from {start_from}: parameter {name} is {there} there and {here} in this recipe's model; give the recipe the same "
            "model, or start from another run"
        )


def _data_differences(folder: RunFolder, text: Text, start_from: str | None, *, build: bool) -> list[Difference]:
    """Whether the text is still what the folder's run was trained on, by its tokens, and the weights it began with."""
    saved = read_data(folder.data)
    store = store_for(text, run_tokenizer(folder), _say_nothing, build=build)
    found = []
    if saved["digest"] != store.digest:
        found.append(Difference("data (digest of its tokens)", str(saved["digest"])[:12], store.digest[:12]))
    if saved["from"] != _absolute(start_from):
        found.append(Difference("--from", saved["from"], _absolute(start_from)))
    return found


def _write_data(folder: RunFolder, materials: Materials, start_from: str | None, objective: Objective) -> None:
    vocab = materials.tokenizer.vocab
    digests = {"digest": materials.store.digest, "tokenizer": vocab.digest}
    reading = reading_of(objective, vocab)._asdict()
    folder.write_data({"store": str(materials.store.path), **digests, "from": _absolute(start_from), "reading": reading})


def _summary_step(folder: RunFolder) -> int | None:
    """The step that the summary speaks of: an older one where a run was killed between its last save and its summary."""
    return read_json(folder.summary).get("step") if folder.summary.is_file() else None


def _absolute(start_from: str | None) -> str | None:
    return None if start_from is None else str(as_path(start_from, "--from"))
