"""From a config to a run: the one place where all rooms meet."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jaxlm.checkpoint.store import CheckpointStore
from jaxlm.core import ConfigError, Example, RunError
from jaxlm.core.paths import is_remote
from jaxlm.data import Batches, Examples, Packing, Part, Store, WindowReader, iterate, pack
from jaxlm.data.store import Split
from jaxlm.evaluate import held_out_loss
from jaxlm.objectives.base import Objective
from jaxlm.parallel.peers import Peers
from jaxlm.parallel.placement import local_rows
from jaxlm.run.config import RunConfig
from jaxlm.run.files import RunFolder
from jaxlm.run.program import program_of
from jaxlm.tokenizer.base import Tokenizer
from jaxlm.train.log import Log, MetricsFile, TensorBoard, progress
from jaxlm.train.run import Run, Start
from jaxlm.train.state import init_state, restart
from jaxlm.train.upload import Upload

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Materials:
    """What a run is made of beside its config."""

    tokenizer: Tokenizer
    store: Store
    initial_params: Callable[[Any], Any] | None = None
    """From the abstract parameters to those that a new run begins with; None: fresh ones."""


def assemble(
    config: RunConfig,
    materials: Materials,
    folder: Path,
    *,
    meta: Mapping[str, Any] | None = None,
    devices: Sequence[Any] | None = None,
    peers: Peers | None = None,
) -> Run:
    """Checks that everything fits, then builds the run; computes nothing yet.

    Args:
      config: `optimizer.steps` resolved.
      meta: saved with each checkpoint.
      devices: those of the mesh; None: all.
      peers: the processes that train it; None: this one alone.

    Raises:
      ConfigError: something does not fit; it names the key.
      RunError: the text is too short.
    """
    peers = peers or Peers()
    streams = config.objective.streams or materials.store.parts[0].streams
    program = program_of(config, materials.tokenizer.vocab, devices, streams)
    model, partitioner, plan, num_rows = program.model, program.partitioner, program.layout, program.padded_size
    rows = local_rows(partitioner, num_rows)
    train_examples, validation = (examples(config, materials, split) for split in ("train", "validation"))
    batch_size = config.train.batch_size
    sizes: dict[str, Any] = {"batch_size": batch_size, "padded_size": num_rows, "rows": rows}

    def batches(position: int) -> Iterator[Example]:
        made = Batches(train_examples, start_position=position, **sizes)
        return iterate(made, num_workers=config.data.num_workers)

    def held_out() -> Iterator[Example]:
        limit = validation.num_rows
        if config.train.eval_batches is not None:
            limit = min(limit, config.train.eval_batches * batch_size)
        return iterate(Batches(validation, start_position=0, num_rows_total=limit, **sizes))

    def start(checkpoints: CheckpointStore) -> Start:
        latest = checkpoints.latest
        if latest is not None:
            state, saved = checkpoints.restore(plan.abstract)
            return Start(state, saved["history"], latest)
        state = init_state(model, plan, config.train.seed, partitioner)
        if materials.initial_params is not None:
            state = restart(state, materials.initial_params(plan.abstract.params), plan)
        return Start(state, [[0, 0, batch_size]], 0)

    evaluate = held_out_loss(
        model,
        config.objective,
        partitioner,
        plan.shardings.params,
        held_out,
        num_rows,
        [reader.part for reader in validation.readers],
        peers,
        config.mesh.meeting_seconds,
    )
    return Run(
        **vars(program),
        folder=folder,
        log=config.log,
        checkpoint=config.checkpoint,
        peers=peers,
        meeting_seconds=config.mesh.meeting_seconds,
        start=start,
        batches=batches,
        evaluate=evaluate,
        logs=lambda step: open_logs(config, RunFolder(folder), step) if peers.index == 0 else [],
        meta=dict(meta or {}),
    )


def examples(config: RunConfig, materials: Materials, split: Split) -> Examples:
    """The rows of one split: shuffled and mixed for training, each once and in order for validation."""
    data, objective = config.data, config.objective
    width = objective.raw_length(data.seq_len)
    readers = []
    for source in materials.store.sources(split):
        part = materials.store.part(split, source)
        _require_streams(objective, part)
        _require_pairs(objective, part)
        packing = pack(part, data.packing, width, objective.overlap, objective.streams)
        _tell_left_out(part, packing, width)
        readers.append(WindowReader(part, packing, width, objective.streams))
    if not readers:
        raise RunError(f"data.sources hold no {split} text; give more text, or another data.split")
    training = split == "train"
    return Examples(
        readers,
        objective,
        materials.tokenizer.vocab,
        seq_len=data.seq_len,
        seed=config.train.seed,
        weights=data.weights if training else (),
        final_weights=data.final_weights if training else (),
        num_rows_total=(config.optimizer.steps or config.train.steps) * config.train.batch_size,
        shuffle=training,
    )


def _require_streams(objective: Objective, part: Part) -> None:
    """Raises ConfigError where the text has not the streams that the objective reads."""
    if not set(objective.streams) <= set(part.streams):
        wanted, found = (" and ".join(map(repr, names)) for names in (objective.streams, part.streams))
        raise ConfigError(
            f"objective {type(objective).__name__} reads the streams {wanted}, and source {part.source!r} has {found}; name those "
            "that it has, or give parallel text, such as ParallelLines('data/train', fields=('en', 'de'))"
        )


def _require_pairs(objective: Objective, part: Part) -> None:
    """Raises ConfigError where the text has not the sentences or the documents that the objective pairs."""
    name, where = type(objective).__name__, f"the {part.split} text of source {part.source!r}"
    language, sentences = objective.sentences, part.num_sentences or 0
    if language is not None and sentences <= part.num_documents:
        raise ConfigError(
            f"objective {name} needs texts of several sentences, and {where} has none: {part.num_documents:,} documents, "
            f"{sentences:,} sentences by the rules of objective.sentences={language!r}. Give text with sentences, and its language"
        )
    if part.num_documents < objective.num_windows:
        raise ConfigError(
            f"objective {name} pairs text with that of another document, and {where} is one document; give a file or a record for "
            "each document, or add Sections() to data.steps"
        )


def _tell_left_out(part: Part, packing: Packing, width: int) -> None:
    """Says how many documents fit no row. Raises ConfigError where none does."""
    if not packing.num_left_out:
        return
    told = f"{packing.num_left_out:,} of {part.num_documents:,} {part.split} documents"
    if not len(packing):
        raise ConfigError(f"data.seq_len={width}: {told} of source {part.source!r} fit no row of so many tokens; raise it")
    _tell(f"source {part.source!r}: {told} are left out: a stream of theirs has more than data.seq_len={width} tokens")


@cache
def _tell(message: str) -> None:
    """Once, however often the rows are made."""
    log.warning(message)


def open_logs(config: RunConfig, folder: RunFolder, step: int) -> list[Log]:
    """Where metrics go, for a run that takes up after `step`."""
    logs: list[Log] = []
    if is_remote(folder.path):
        logs.append(upload := Upload(folder.path, config.log.upload_seconds, (folder.metrics.name,)))  # closed last
        folder = RunFolder(upload.folder)
    logs.append(MetricsFile(folder.metrics, step))
    if config.log.tensorboard:
        logs.append(TensorBoard(folder.tensorboard, step))
    if config.log.progress:
        logs.append(progress(config.train.steps, step))
    return logs
