"""`jaxlm train --dry-run`: the very step that training would run, compiled for devices that need not be there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxlm.core import Vocab
from jaxlm.core.table import aligned
from jaxlm.plan.devices import heard
from jaxlm.plan.findings import findings
from jaxlm.plan.hlo import Collective, collectives
from jaxlm.plan.memory import Memory, memory_of, require_room, too_large
from jaxlm.plan.traffic import Line, traffic
from jaxlm.run.config import RunConfig, with_schedule_length
from jaxlm.run.overview import parameter_table, totals
from jaxlm.run.program import check_config, program_of
from jaxlm.run.recipe import Recipe
from jaxlm.run.text import text_of, tokenizer_for
from jaxlm.train.waiting import waiting

Say = Callable[[str], None]

SENTINELS = 100
"""Of a tokenizer that is not there; T5's."""
COPIED_WHOLE = "nvoluntary full rematerialization"
"""What XLA's partitioner says where it has each device make all of an array, to cut it anew."""


def dry_run(recipe: Recipe, devices: Sequence[Any] | None = None, say: Say = print) -> Mapping[str, Any]:
    """Says how a recipe's state lies on its mesh, what is amiss, what its step sends and what memory it needs. Writes nothing,
    and reads no text where the config says how many ids there are.

    Args:
      devices: those that it is for, of this machine or described (`jaxlm.plan.devices`); None: all of this machine.

    Raises:
      ConfigError: something does not fit; it names the key.
      RunError: the step needs more memory than a device has.
    """
    config = with_schedule_length(recipe.config)
    check_config(config)
    program = program_of(config, _vocab(config, recipe.module, say), devices)
    laid = findings(program)
    _tell(say, parameter_table(program), totals(program), laid)
    try:
        with heard() as said, waiting("compiling the step"):
            compiled = program.compiled()
    except Exception as error:  # of several kinds, by compiler
        if (found := too_large(error)) is not None:
            raise found from error
        raise
    sent_by = collectives(compiled.as_text() or "", program.partitioner.mesh.size)
    lines = traffic(program, sent_by)
    memory = memory_of(compiled, list(program.partitioner.mesh.devices.flat))
    sent = [*_unexpected(lines), *_copied_whole(said), *_unknown(sent_by)]
    _tell(say, _traffic_table(lines), [_memory_line(memory)], sent)
    require_room(memory, program.partitioner.platform)
    return {
        "devices": program.partitioner.mesh.size,
        "mesh": dict(program.partitioner.mesh.shape),
        "num_params": program.model.num_params(),
        "findings": [*laid, *sent],
        "collectives": [line._asdict() for line in lines],
        "memory": memory._asdict() | {"needed": memory.needed},
    }


def _tell(say: Say, *parts: Sequence[str]) -> None:
    for part in parts:
        if part:
            say("\n".join(part))


def _traffic_table(lines: Sequence[Line]) -> list[str]:
    """What each device sends in a step; nothing where it is alone."""
    head = ("a step and device", "axis", "closed form", "compiled")
    rows = [(line.kind, line.axis, _size(line.closed_form), _size(line.compiled)) for line in lines]
    return aligned([head, *rows], right=(2, 3)) if rows else []


def _unexpected(lines: Sequence[Line]) -> list[str]:
    """What is sent and the closed form does not know of, and the other way round."""
    found = []
    for line in lines:
        what = f"{line.kind} over mesh.{line.axis} of {_size(line.compiled)} a step where "
        if not line.expected:
            sources = ", ".join(f"{name} ({_size(size)})" for name, size in line.sources)
            found.append(f"unexpected: {what}{_size(line.closed_form)} are needed; most of it by {sources}")
        if line.less:
            found.append(
                f"less than expected: {what}each needed once makes more of the closed form's {_size(line.closed_form)}: "
                "this XLA writes some of it in a way that is not read here"
            )
    return found


def _size(num_bytes: float) -> str:
    """In units of 1,000, as networks are measured."""
    unit, scale = next(((unit, scale) for unit, scale in (("GB", 1e9), ("MB", 1e6)) if num_bytes >= scale / 10), ("kB", 1e3))
    return f"{num_bytes / scale:,.3f} {unit}" if num_bytes else "0"


def _unknown(sent_by: Sequence[Collective]) -> list[str]:
    """Loops that turn as often as the data says."""
    sources = sorted({one.source for one in sent_by if not one.known})
    return [f"not known: how often a loop turns that sends ({', '.join(sources[:3])}); it is counted once"] if sources else []


def _copied_whole(said: Sequence[str]) -> list[str]:
    """The arrays that XLA's partitioner says it had to copy whole."""
    return [
        f"unexpected: an array is made whole on each device to be cut anew: {line.strip()[:300]}. An activation without "
        "`constrain` at its layer's border makes it so"
        for line in said
        if COPIED_WHOLE in line
    ]


def _memory_line(memory: Memory) -> str:
    own = "" if memory.device is None else f", of {memory.device / 2**30:,.2f} GiB that it has"
    return (
        f"memory a device: {memory.needed / 2**30:,.2f} GiB{own} ({memory.state / 2**30:,.2f} state and batch, "
        f"{memory.temporary / 2**30:,.2f} temporary)"
    )


def _vocab(config: RunConfig, module: str | None, say: Say) -> Vocab:
    """Ids to make shapes by: as many as the model or the tokenizer's config says; else those of the tokenizer itself, which
    training would make too."""
    size = config.model.embed.vocab_size or getattr(config.tokenizer, "vocab_size", None)
    if size is None:
        return tokenizer_for(config.tokenizer, text_of(config, module), say).vocab
    sentinels = getattr(config.tokenizer, "num_sentinels", SENTINELS)
    special_V = np.zeros(size, bool)
    special_V[:7] = special_V[size - sentinels :] = True
    pad, bos, eos, unk, mask, cls, sep = range(7)
    last = tuple(range(size - sentinels, size))
    return Vocab(size, "not made yet", pad, bos, eos, unk, mask, cls, sep, last, special_V, starts_word_V=~special_V)
