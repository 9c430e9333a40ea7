"""Two transformers with one embedding, trained together: one writes, the other looks for what it wrote."""

import re
from dataclasses import dataclass, fields
from typing import Any, Literal

import jax

from jaxlm.core import Cache, ConfigError, Inputs, Outputs
from jaxlm.core.noise import purpose_id
from jaxlm.models.layers.embed import Embed
from jaxlm.models.model import Array, Model, Params
from jaxlm.models.transformer import Transformer


@dataclass(frozen=True)
class Pair(Model):
    """A generator that fills gaps and a discriminator that judges what it filled in (ELECTRA, arXiv:2003.10555, section 3.1).

    They share all of their embedding (section 3.2, "weight sharing"): the tables of tokens, positions and token types and
    their norm. Parameters are `embed`, stored once, `generator` and `discriminator`, each what is left of a transformer's.
    The call is the discriminator, which is what one keeps; `generate` is the other.
    """

    generator: Transformer
    """Fills gaps; objectives read its head "lm"."""
    discriminator: Transformer
    """Judges each token; objectives read its head "replaced"."""

    embed_keys = ("model.generator.embed", "model.discriminator.embed")

    @property
    def embed(self) -> Embed:  # type: ignore[override]
        return self.discriminator.embed

    @property
    def encoder(self) -> Any:  # type: ignore[override]
        """None: both halves read one text."""
        return ()

    @property
    def heads(self) -> Any:  # type: ignore[override]
        """Those of the discriminator."""
        return self.discriminator.heads

    def init(self, rng: Array) -> Params:
        halves = {
            name: dict(half.init(jax.random.fold_in(rng, purpose_id(name))))
            for name, half in (("generator", self.generator), ("discriminator", self.discriminator))
        }
        halves["generator"].pop("embed")
        return {"embed": halves["discriminator"].pop("embed"), **halves}

    def __call__(self, params: Params, inputs: Inputs, *, cache: Cache | None = None, rng: Array | None = None) -> Outputs:
        """The discriminator; as `Model.__call__`."""
        return self.discriminator(_own(params, "discriminator"), inputs, cache=cache, rng=rng)

    def generate(self, params: Params, inputs: Inputs, *, rng: Array | None = None) -> Outputs:
        """The generator. Its noise is another than that which the discriminator makes of the same key."""
        noise = None if rng is None else jax.random.fold_in(rng, purpose_id("generator"))
        return self.generator(_own(params, "generator"), inputs, rng=noise)

    def parts(self, params: Params) -> tuple[tuple[Any, Params], ...]:
        return (self.discriminator, _own(params, "discriminator")), (self.generator, _own(params, "generator"))

    def computed(self, **how: Any) -> "Pair":
        return Pair(self.generator.computed(**how), self.discriminator.computed(**how))

    def with_embed(self, embed: Embed) -> "Pair":
        return Pair(self.generator.with_embed(embed), self.discriminator.with_embed(embed))

    def eval(self) -> "Pair":
        return Pair(self.generator.eval(), self.discriminator.eval())

    def init_cache(self, batch_size: int, length: int, encoder_length: int = 0) -> Cache:
        """Raises ConfigError: neither half writes text on."""
        raise ConfigError(
            "model: a pair of generator and discriminator looks both ways, so it cannot write a text on and has no cache; use "
            "`jaxlm fill-mask`, or a run of a causal model"
        )

    def dim(self) -> int:
        return self.discriminator.dim()

    @property
    def attention(self) -> Literal["causal", "bidirectional", "mixed"]:
        ours, theirs = self.discriminator.attention, self.generator.attention
        return ours if ours == theirs else "mixed"

    @property
    def max_length(self) -> int | None:
        return self.discriminator.max_length

    @property
    def remat(self) -> str:
        """The discriminator's."""
        return self.discriminator.remat

    @property
    def unroll(self) -> bool:
        """The discriminator's."""
        return self.discriminator.unroll

    def flops_per_token(self, seq_len: int, encoder_length: int = 0) -> float:
        """Of both: in training each token passes each once."""
        return self.generator.flops_per_token(seq_len) + self.discriminator.flops_per_token(seq_len)

    def check(self) -> None:
        for name, half in (("generator", self.generator), ("discriminator", self.discriminator)):
            try:
                half.check()
            except ConfigError as error:  # it knows of no place but its own
                raise ConfigError(re.sub(r"\bmodel\.", f"model.{name}.", str(error))) from error
            if half.encoder:
                raise ConfigError(f"model.{name}.encoder has stacks, and a pair's halves read one text; leave it out")
        ours, theirs = self.discriminator.embed, self.generator.embed
        for name in [field.name for field in fields(Embed)]:
            if (here := getattr(ours, name)) != (there := getattr(theirs, name)):
                raise ConfigError(
                    f"model.generator.embed.{name}={there!r} and model.discriminator.embed.{name}={here!r} differ, and a pair "
                    "has one embedding; set both alike"
                )
        for name, half, needed in (("generator", self.generator, "lm"), ("discriminator", self.discriminator, "replaced")):
            if needed not in dict(half.heads):
                has = ", ".join(repr(head) for head, _ in half.heads) or "none"
                raise ConfigError(f"model.{name}.heads: a pair's {name} needs one of the name {needed!r} and has {has}")


def _own(params: Params, half: str) -> Params:
    """A half's parameters as the transformer that it is takes them."""
    return {"embed": params["embed"], **params[half]}
