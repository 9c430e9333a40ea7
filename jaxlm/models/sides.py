"""What a transformer's two sides, encoder and decoder, ask of each other's settings."""

from collections.abc import Iterator, Mapping, Sequence

from jaxlm.core import ConfigError
from jaxlm.models.layers.block import Block
from jaxlm.models.layers.relative_bias import RelativeBias
from jaxlm.models.layers.stack import Stack


def blocks(side: str, stacks: Sequence[Stack]) -> Iterator[tuple[str, Block]]:
    """(key in the config, block) of each block of a side, a pattern's blocks once."""
    return ((f"model.{side}.{i}.pattern.{j}", block) for i, stack in enumerate(stacks) for j, block in enumerate(stack.pattern))


def check_sides(encoder: Sequence[Stack], decoder: Sequence[Stack]) -> None:
    """Raises ConfigError where an encoder does not see both ways, or is there and not read, or is read and not there."""
    for key, block in blocks("encoder", encoder):
        if block.attention.causal:
            raise ConfigError(f"{key}.attention.causal=True: an encoder's tokens see both ways; set it to False")
        if block.cross is not None:
            raise ConfigError(f"{key}.cross is set, and an encoder has none to read; leave it out")
    reading = [key for key, block in blocks("decoder", decoder) if block.cross is not None]
    if encoder and not reading:
        raise ConfigError("model.encoder has stacks and no block of model.decoder reads them; give one cross=CrossAttention(...)")
    if reading and not encoder:
        raise ConfigError(f"{reading[0]}.cross is set and model.encoder has no stacks to read; give it some, or leave cross out")


def check_relative_bias(bias: RelativeBias, stacks: Mapping[str, Sequence[Stack]]) -> None:
    """Raises ConfigError where its settings do not fit, or attention has another number of heads."""
    bias.check("model.relative_bias")
    for side in stacks:
        for key, block in blocks(side, stacks[side]):
            heads = getattr(block.attention, "num_heads", bias.num_heads)
            if heads != bias.num_heads:
                raise ConfigError(
                    f"model.relative_bias.num_heads={bias.num_heads} and {key}.attention.num_heads={heads} must be the same"
                )
