"""What a model takes and what it gives."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Array = Any


class Inputs(NamedTuple):
    """Tokens of a batch with all that attention must know of them.

    Attention stays within a segment (0 is padding) and takes its order from positions.
    """

    tokens_BL: Array
    positions_BL: Array
    segments_BL: Array
    rows_B: Array | None = None
    """Each example's position in the run's data: keys its noise, so noise does not depend on how a batch is split."""
    token_types_BL: Array | None = None
    prefix_BL: Array | None = None
    """True where a token belongs to its segment's prefix, which all of the segment see, also where attention is causal."""
    encoder: "Inputs | None" = None
    """Cross-attention joins equal segments."""

    @classmethod
    def of(cls, batch: Mapping[str, Array], prefix: str = "") -> "Inputs":
        """The inputs that a prepared batch holds; fields that it lacks are None."""
        optional = {f"{name}_BL": batch[prefix + name] for name in ("token_types", "prefix") if prefix + name in batch}
        encoder = cls.of(batch, "encoder_") if not prefix and "encoder_tokens" in batch else None
        tokens_BL, positions_BL, segments_BL = (batch[prefix + name] for name in ("tokens", "positions", "segments"))
        return cls(tokens_BL, positions_BL, segments_BL, rows_B=batch.get("row"), encoder=encoder, **optional)


class Cache(NamedTuple):
    """Keys and values of the tokens seen so far, for generation; S places, of which the first `index` are filled."""

    index: Array
    positions_BS: Array
    segments_BS: Array
    layers: Any
    """One entry a stack of the decoder: a tuple over its pattern of (keys, values), each [repeats, B, S, G, K]; of a block that
    reads an encoder the pair of that and the same of the encoder's tokens."""
    encoder_segments_BS: Array | None = None
    """Of the encoder's tokens, once a call was given them: then calls with the cache leave `Inputs.encoder` out."""


class Outputs(NamedTuple):
    """What a model gives for `Inputs`. Heads are `Readout`s: nothing of vocabulary size exists until asked for."""

    hidden_BLD: Array
    heads: dict[str, Any]
    aux: dict[str, Array]
    """Losses of the model's own, [B], one a row, already scaled; 0 for a row without tokens."""
    cache: Cache | None = None
    encoder_BSD: Array | None = None
    """The encoder's last hidden states, of a call that was given its text."""
