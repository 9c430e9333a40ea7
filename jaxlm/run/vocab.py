"""A model's vocabulary follows the tokenizer."""

from dataclasses import replace
from typing import Any

from jaxlm.core import ConfigError


def with_vocab(model: Any, size: int) -> Any:
    """The model with `size` ids where it names no size of its own.

    Raises:
      ConfigError: it names one that is smaller.
    """
    own = model.embed.vocab_size
    if own is None:
        return model.with_embed(replace(model.embed, vocab_size=size))
    if own < size:
        keys = " and ".join(f"{key}.vocab_size" for key in model.embed_keys)
        raise ConfigError(f"{keys}={own} is less than the tokenizer's {size} ids; leave it out, or give at least {size}")
    return model
