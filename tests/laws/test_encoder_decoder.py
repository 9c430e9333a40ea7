"""The laws judge an encoder-decoder too: they hold for what is right, and a fault of what the encoder is for is found."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.laws import counts, execution, generation, rows, sight, sums, verdicts
from jaxlm.models.layers import CrossAttention
from jaxlm.models.layers.base import Encoded
from jaxlm.models.layers.cross_attention import CrossAttentionModule
from jaxlm.objectives import CausalLM


@dataclass(frozen=True)
class BetweenTheRead(CausalLM):
    """The encoder reads every second token, the decoder is asked for those between them."""

    encoder = True
    bits_name = None
    step = 2

    def prepare(self, windows, rng, vocab, seq_len):
        example, window = super().prepare(windows, rng, vocab, seq_len), windows[0]
        read = slice(None, None, self.step)
        return {
            **example,
            "weights": example["weights"] * (np.arange(1, seq_len + 1) % 2).astype(np.float32),
            "encoder_tokens": window.ids_N[read],
            "encoder_positions": window.positions_N[read] // self.step,
            "encoder_segments": self.segments(window.segments_N[read]),
        }

    def segments(self, segments_S):
        return segments_S


class ReadsAll(BetweenTheRead):
    """And so the answers."""

    step = 1


class Joined(BetweenTheRead):
    """The encoder's documents as one."""

    def segments(self, segments_S):
        return np.minimum(segments_S, 1)


class Short(BetweenTheRead):
    """One segment is missing."""

    def segments(self, segments_S):
        return segments_S[1:]


class BlindModule(CrossAttentionModule):
    def __call__(self, x_BLD, context, cache):
        seen_BS = jnp.ones_like(context.encoder.segments_BS)
        blind = replace(
            context, segments_BL=jnp.ones_like(context.segments_BL), encoder=Encoded(seen_BS, context.encoder.hidden_BSD)
        )
        return super().__call__(x_BLD, blind, cache)


@dataclass(frozen=True)
class Blind(CrossAttention):
    """Takes no notice of segments."""

    def build(self, name: str) -> Any:
        return BlindModule(self, name=name)


@dataclass(frozen=True)
class Forgetful(CrossAttention):
    """What it keeps of the encoder is kept in too few bits."""

    def init_cache(self, embed_dim, batch_size, length, dtype):
        return super().init_cache(embed_dim, batch_size, length, "float8_e4m3fn")


def subject(subject_of, objective, **settings):
    return subject_of(objective, family="t5", num_layers=1, **settings)


def broken(subject, *laws):
    return [verdict.law for law in laws for verdict in verdicts(law, subject) if verdict.holds is False]


@pytest.mark.slow
def test_an_encoder_decoder_holds_to_the_laws(subject_of):
    of_model = (execution.named_axes, sight.sight, counts.parameters, counts.flops, generation.cached)
    of_rows = (rows.fields, rows.purity, rows.targets, rows.documents)
    of_loss = (sums.halves, sums.weight_zero, sight.through_loss, execution.microbatches, execution.sharding)
    held = subject(subject_of, BetweenTheRead(), embed_dim=64)
    found = [verdict for law in (*of_model, *of_rows, *of_loss) for verdict in verdicts(law, held)]
    assert not [verdict for verdict in found if verdict.holds is False]
    assert len([verdict for verdict in found if verdict.holds]) >= 21


@pytest.mark.parametrize(
    ("objective", "law", "says"),
    [
        (ReadsAll(), rows.targets, "no target is among the tokens that its place sees"),
        (Joined(), rows.documents, "documents keep segments of their own"),
        (Short(), rows.fields, "a row has its fields"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CausalLM) else "",
)
def test_a_fault_of_an_objective_is_found(subject_of, objective, law, says):
    assert says in broken(subject(subject_of, objective), law)


@pytest.mark.parametrize(
    ("cross", "law", "says"),
    [
        (Blind(4), sight.sight, ["no place sees another document", "no place sees padding"]),
        (Forgetful(4, stddev=None, output_stddev=1.0), generation.cached, ["generation with the cache is the same as without"]),
    ],
    ids=["blind", "forgetful"],
)
def test_a_fault_of_cross_attention_is_found(subject_of, cross, law, says):
    right = subject(subject_of, BetweenTheRead())
    (stack,) = right.model.decoder
    model = replace(right.model, decoder=(replace(stack, pattern=(replace(stack.pattern[0], cross=cross),)),))
    assert broken(replace(right, model=model), law) == says
