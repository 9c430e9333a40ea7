"""From a config to the program that its steps run: all that can be known, and be wrong, before text is read."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxlm.core import ConfigError, Vocab
from jaxlm.data.examples import padding_row
from jaxlm.data.mixture import require_one_each
from jaxlm.models.pair import Pair
from jaxlm.objectives.base import Objective, require_room, require_sentinels, require_settings_read
from jaxlm.parallel.rules import Partitioner
from jaxlm.run.config import RunConfig
from jaxlm.run.vocab import with_vocab
from jaxlm.train.program import Program
from jaxlm.train.state import layout


def program_of(config: RunConfig, vocab: Vocab, devices: Sequence[Any] | None = None, streams: Sequence[str] = ()) -> Program:
    """The step, its state and its batches as shapes with their places; nothing is computed.

    Args:
      config: `optimizer.steps` resolved.
      devices: those of the mesh; None: all.
      streams: those of the text, where it is known; (): those that the objective reads.

    Raises:
      ConfigError: something does not fit; it names the key.
    """
    model = model_of(config, vocab)
    partitioner = Partitioner.of(config.mesh, devices)
    num_rows = padded_rows(config, partitioner)
    row = padding_row(config.objective, vocab, config.data.seq_len, config.train.seed, streams or config.objective.streams)
    shapes = {name: ((num_rows, *value.shape), value.dtype) for name, value in row.items()} | {"row": ((num_rows,), np.int32)}
    return Program(
        model=model,
        objective=config.objective,
        optimizer=config.optimizer,
        train=config.train,
        partitioner=partitioner,
        layout=layout(model, config.optimizer, partitioner),
        batch={
            name: jax.ShapeDtypeStruct(shape, dtype, sharding=partitioner.rows(shape)) for name, (shape, dtype) in shapes.items()
        },
    )


def check_config(config: RunConfig) -> None:
    """What can be known to be wrong before any text is read.

    Raises:
      ConfigError: the model does not fit the objective or the rows, or weights the sources; it names the key.
    """
    model, objective = config.model, config.objective
    model.check()
    require_settings_read(objective)
    require_room(objective, config.data.seq_len)
    if (has := getattr(config.tokenizer, "num_sentinels", None)) is not None:
        require_sentinels(objective, config.data.seq_len, has)
    for name in ("weights", "final_weights"):
        if weights := getattr(config.data, name):
            require_one_each(name, weights, len(config.data.sources))
    if objective.encoder and not model.encoder:
        raise ConfigError(
            f"objective {type(objective).__name__} needs an encoder-decoder and the model has no encoder; use transformer_2017, t5 "
            "or modern(encoder_layers=...), or another objective"
        )
    if model.encoder and not objective.encoder:
        raise ConfigError(
            f"objective {type(objective).__name__} gives the model's encoder nothing to read; use a model without one, such as "
            "gpt2, or an objective for an encoder-decoder"
        )
    if objective.pair and not isinstance(model, Pair):
        raise ConfigError(
            f"objective {type(objective).__name__} needs a pair of generator and discriminator and the model is one transformer; "
            "use electra, or another objective"
        )
    if isinstance(model, Pair) and not objective.pair:
        raise ConfigError(
            f"objective {type(objective).__name__} needs one transformer and the model is a pair of generator and discriminator; "
            "use bert, or objective ReplacedTokenDetection"
        )
    if objective.attention != "any" and model.attention != objective.attention:
        raise ConfigError(
            f"objective {type(objective).__name__} needs a {objective.attention} model and model's attention is {model.attention}; "
            f"use {'gpt2 or llama' if objective.attention == 'causal' else 'bert'}, or another objective"
        )
    _require_ends(model, objective)
    if objective.streams and config.data.packing == "windows":
        raise ConfigError(
            f"data.packing='windows' cuts documents, and objective {type(objective).__name__} needs all streams of each whole; "
            "set it to 'best_fit', or to 'documents' for one a row"
        )
    longest = max(seq_len := config.data.seq_len, objective.row_length(seq_len))
    if model.max_length is not None and longest > model.max_length:
        which = "is" if longest == seq_len else f"makes rows of {longest} tokens to be written, which is"
        raise ConfigError(
            f"data.seq_len={seq_len} {which} more than the model's {model.max_length} positions; "
            f"shorten it, or set {' and '.join(f'{key}.positions.length' for key in model.embed_keys)} to {longest}"
        )


def _require_ends(model: Any, objective: Objective) -> None:
    """Raises ConfigError where the model lacks heads or token types that the objective reads."""
    name = type(objective).__name__
    missing = [head for head in objective.heads if head not in dict(model.heads)]
    if missing:
        raise ConfigError(
            f"objective {name} reads the head {missing[0]!r} and model.heads are {[head for head, _ in model.heads]}; "
            f"use bert(..., {missing[0]}=True), or another objective"
        )
    if (found := model.embed.num_token_types) < objective.num_token_types:
        raise ConfigError(
            f"model.embed.num_token_types={found} and objective {name} tells {objective.num_token_types} kinds of tokens apart; "
            f"set it to {objective.num_token_types}"
        )


def model_of(config: RunConfig, vocab: Vocab) -> Any:
    """The config's model with the tokenizer's vocabulary filled in.

    Raises:
      ConfigError: as `check_config` does, or the tokenizer lacks what the objective needs.
    """
    check_config(config)
    config.objective.check(vocab, config.data.seq_len)
    return with_vocab(config.model, vocab.size)


def padded_rows(config: RunConfig, partitioner: Partitioner) -> int:
    """Rows of a batch, filled up to a multiple of microbatches x batch shards."""
    multiple = config.train.num_microbatches * partitioner.batch_shards
    return -(-config.train.batch_size // multiple) * multiple
