"""The laws hold for what is right, and each planted fault breaks the law that is about it."""

from dataclasses import dataclass, replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlm.core import Inputs, Sums
from jaxlm.laws import counts, execution, generation, judge, rows, sight, sums, verdicts
from jaxlm.models.layers import MLP, Attention, Block
from jaxlm.models.layers.attention import AttentionModule
from jaxlm.models.layers.mlp import MLPModule
from jaxlm.models.transformer import Transformer
from jaxlm.objectives import (
    CausalLM,
    FillInMiddle,
    MaskedLM,
    ReplacedTokenDetection,
    SpanCorruption,
    Spans,
    replaced,
    token_nll,
)


def broken(subject, law):
    """What of this law does not hold."""
    return [verdict.law for verdict in verdicts(law, subject) if verdict.holds is False]


@pytest.mark.slow  # docs/model.md holds examples/own_family.py to all laws
@pytest.mark.parametrize("objective", [CausalLM(), MaskedLM()], ids=lambda o: type(o).__name__)
def test_ours_hold(subject_of, objective):
    found = list(judge(subject_of(objective, embed_dim=128)))
    assert not [verdict for _, verdict in found if verdict.holds is False]
    tried = {verdict.law for _, verdict in found if verdict.holds}
    assert len(tried) >= 22, tried


@pytest.mark.slow
def test_drawn_tokens_are_the_same_in_any_split_and_on_any_mesh(subject_of):
    subject = subject_of(ReplacedTokenDetection(), num_layers=1)
    found = [verdict for law in (execution.microbatches, execution.sharding) for verdict in verdicts(law, subject)]
    assert len([verdict for verdict in found if verdict.holds]) == 3
    assert not [verdict for verdict in found if verdict.holds is False]


def test_draws_for_the_batch_as_a_whole_are_found(subject_of, monkeypatch):
    in_order = lambda key, rows_B: jax.random.split(key, len(rows_B))
    monkeypatch.setattr(replaced, "row_keys", in_order)
    subject = subject_of(ReplacedTokenDetection(), num_layers=1)
    assert broken(subject, execution.microbatches) == ["4 microbatches: the same loss and gradient"]


@dataclass(frozen=True)
class OffByOne(CausalLM):
    """Asks for the token that is given."""

    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "targets": example["tokens"]}


@dataclass(frozen=True)
class OneTooFar(CausalLM):
    """Asks for the token after the next."""

    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        segments = example["segments"]
        same = (np.roll(segments, -1) == segments) & (np.arange(seq_len) < seq_len - 1)
        return {**example, "targets": np.roll(example["targets"], -1), "weights": (same * example["weights"]).astype(np.float32)}


@dataclass(frozen=True)
class Crossing(CausalLM):
    """A document's last token asks for the next document's first."""

    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "weights": ((example["segments"] > 0) & (windows[0].segments_N[1:] > 0)).astype(np.float32)}


@dataclass(frozen=True)
class Joined(CausalLM):
    """All documents of a row in one segment: they see each other."""

    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "segments": np.minimum(example["segments"], 1)}


@dataclass(frozen=True)
class CountsOn(CausalLM):
    """Positions go on from one document to the next."""

    def prepare(self, windows, rng, vocab, seq_len):
        return {**super().prepare(windows, rng, vocab, seq_len), "positions": np.arange(seq_len, dtype=np.int32)}


@dataclass(frozen=True)
class WeighsPadding(CausalLM):
    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "weights": np.ones(seq_len, np.float32)}


@dataclass(frozen=True)
class NoiseInOrder(MaskedLM):
    """Draws from one generator, one row after another."""

    def prepare(self, windows, rng, vocab, seq_len):
        return super().prepare(windows, GENERATOR, vocab, seq_len)


GENERATOR = np.random.default_rng(0)


@dataclass(frozen=True)
class WritesToTheStore(CausalLM):
    def prepare(self, windows, rng, vocab, seq_len):
        windows[0].ids_N[0] = 5
        return super().prepare(windows, rng, vocab, seq_len)


@dataclass(frozen=True)
class MasksNothing(MaskedLM):
    """Asks for tokens that it leaves as they are."""

    replace_with_mask: float = 0.0
    replace_with_random: float = 0.0


@dataclass(frozen=True)
class TooManyMasks(MaskedLM):
    """Says 80 % and makes 95 % of the chosen masks."""

    def prepare(self, windows, rng, vocab, seq_len):
        return replace(MaskedLM(), replace_with_mask=0.95, replace_with_random=0.02).prepare(windows, rng, vocab, seq_len)


@dataclass(frozen=True)
class Mean(CausalLM):
    """A mean where a sum belongs."""

    def loss(self, model, params, batch, rng):
        sums = super().loss(model, params, batch, rng)
        mean = sums.terms["tokens"] / jnp.maximum(batch["weights"].sum(), 1)
        return sums._replace(terms={"tokens": mean})


@dataclass(frozen=True)
class WrongDenominator(CausalLM):
    """Divides by all places, of weight 0 too."""

    def weights(self, batch):
        return {"tokens": jnp.float32(batch["weights"].size)}


@dataclass(frozen=True)
class OtherNames(CausalLM):
    def weights(self, batch):
        return {"token": batch["weights"].sum()}


@dataclass(frozen=True)
class IgnoresWeights(CausalLM):
    def loss(self, model, params, batch, rng):
        nll_BL = token_nll(model(params, Inputs.of(batch), rng=rng).heads["lm"], batch["targets"])
        return Sums.of(tokens=(nll_BL, jnp.ones_like(nll_BL)))


@dataclass(frozen=True)
class Peeks(CausalLM):
    """Its loss gives the model the tokens that it asks for."""

    def loss(self, model, params, batch, rng):
        return super().loss(model, params, {**batch, "tokens": jnp.roll(batch["tokens"], -1, axis=1)}, rng)


@dataclass(frozen=True)
class Joins(CausalLM):
    """Its loss gives the model all documents as one."""

    def loss(self, model, params, batch, rng):
        joined = {
            "segments": jnp.ones_like(batch["segments"]),
            "positions": jnp.arange(batch["tokens"].shape[1]) + 0 * batch["positions"],
        }
        return super().loss(model, params, {**batch, **joined}, rng)


@dataclass(frozen=True)
class NoiseOfTheArray(CausalLM):
    """Noise drawn for the batch as a whole: it changes with the number of microbatches."""

    def loss(self, model, params, batch, rng):
        sums = super().loss(model, params, batch, rng)
        noise_BL = 1 + 0.1 * jax.random.normal(rng, batch["weights"].shape)
        nll_BL = token_nll(model(params, Inputs.of(batch), rng=rng).heads["lm"], batch["targets"])
        return Sums.of(tokens=(noise_BL * nll_BL, batch["weights"]))._replace(metrics=sums.metrics)


@dataclass(frozen=True)
class MasksHalf(MaskedLM):
    """Hides half of what its rate says."""

    def prepare(self, windows, rng, vocab, seq_len):
        return MaskedLM(mask_rate=self.mask_rate / 2).prepare(windows, rng, vocab, seq_len)


@dataclass(frozen=True)
class ShortSpans(Spans):
    """All of one word."""

    def lengths(self, rng, number):
        return np.ones(number, np.int64)


@dataclass(frozen=True)
class OtherSentinels(SpanCorruption):
    """Begins with the second of them."""

    def _corrupted(self, text_N, rng, vocab):
        return super()._corrupted(text_N, rng, replace(vocab, sentinels=vocab.sentinels[1:]))


@dataclass(frozen=True)
class HidesLittle(SpanCorruption):
    """Two tokens, whatever the rate says."""

    def _counts(self, length):
        return 2, 1


@dataclass(frozen=True)
class AlwaysPSM(FillInMiddle):
    def prepare(self, windows, rng, vocab, seq_len):
        return (
            replace(self, spm_rate=0.0).prepare(windows, rng, vocab, seq_len)
            if self.spm_rate
            else super().prepare(windows, rng, vocab, seq_len)
        )


@dataclass(frozen=True)
class Fails(CausalLM):
    def prepare(self, windows, rng, vocab, seq_len):
        raise KeyError("nothing here")


@pytest.mark.parametrize(
    ("objective", "law", "says"),
    [
        (OffByOne(), rows.targets, "no target is among the tokens that its place sees"),
        (OneTooFar(), rows.targets, "each token is asked for once, after the one before it"),
        (Crossing(), rows.targets, "a target is of its place's document"),
        (Joined(), rows.documents, "documents keep segments of their own"),
        (CountsOn(), rows.documents, "positions count anew in each document"),
        (WeighsPadding(), rows.padding, "padding weighs nothing"),
        (NoiseInOrder(), rows.purity, "a row is a pure function of windows and key"),
        (
            WritesToTheStore(),
            rows.purity,
            "The same windows and key give the same row, whatever came before; the store is not written to",
        ),
        (MasksNothing(), rows.targets, "most targets are hidden from the model"),
        (TooManyMasks(), rows.statistics, "of the chosen, [MASK]: 0.8"),
        (MasksHalf(mask_rate=0.3), rows.statistics, "of the tokens, hidden: 0.3"),
        (MaskedLM(mask_rate=0.5, masking=ShortSpans()), rows.statistics, "of the spans, one word long: 0.2"),
        (OtherSentinels(), rows.statistics, "of the documents, with sentinels in their order on both sides: 1"),
        (HidesLittle(corrupt_rate=0.5), rows.statistics, "of the tokens, hidden: 0."),
        (AlwaysPSM(rate=1.0), rows.statistics, "of the turned, SPM or without a prefix"),
        (Fails(), rows.fields, "Names, shapes and types: rows of a batch can be stacked, those of padding too"),
        (Mean(), sums.halves, "the sums of two parts add up to the whole"),
        (WrongDenominator(), sums.names, "what a term is divided by is the weight that it was summed with"),
        (OtherNames(), sums.names, "the terms of loss and weights are the same"),
        (IgnoresWeights(), sums.weight_zero, "a target of weight 0 has no gradient"),
        (WeighsPadding(), sums.weight_zero, "rows of padding have no weight and no gradient"),
        (Peeks(), sight.through_loss, "the loss at a place does not move with the tokens after it"),
        (Joins(), sight.through_loss, "the loss at a place does not move with another document"),
        (NoiseOfTheArray(), execution.microbatches, "4 microbatches: the same loss and gradient"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CausalLM | MaskedLM) else None,
)
def test_a_planted_fault_of_an_objective_is_found(subject_of, objective, law, says):
    assert any(found.startswith(says) for found in broken(subject_of(objective, num_layers=1), law))


class Faulty(nn.Module):
    """A feed-forward layer after something that it must not do."""

    settings: "FaultyMLP"

    @nn.compact
    def __call__(self, x_BLD, context):
        kind = self.settings.kind
        if kind == "ahead":
            x_BLD = x_BLD + jnp.roll(x_BLD, -1, axis=1) * (context.segments_BL == jnp.roll(context.segments_BL, -1, 1))[..., None]
        elif kind == "unnamed":
            x_BLD = x_BLD * self.param("scale", nn.initializers.ones, x_BLD.shape[-1:])
        elif kind == "batch":
            x_BLD = x_BLD - x_BLD.mean(0, keepdims=True)
        return MLPModule(self.settings, name="inner")(x_BLD, context)


@dataclass(frozen=True)
class FaultyMLP(MLP):
    kind: str = ""

    def build(self, name: str) -> Any:
        return Faulty(self, name=name)


class BlindModule(AttentionModule):
    @nn.compact
    def __call__(self, x_BLD, context, cache):
        blind = replace(context, segments_BL=context.segments_BL * 0 + 1, key_segments_BS=context.key_segments_BS * 0 + 1)
        return super().__call__(x_BLD, blind, cache)


@dataclass(frozen=True)
class Blind(Attention):
    """Takes no notice of segments."""

    def build(self, name: str) -> Any:
        return BlindModule(self, name=name)


@dataclass(frozen=True)
class Forgetful(Attention):
    """Its cache is kept in too few bits."""

    def init_cache(self, embed_dim, batch_size, length, dtype):
        return super().init_cache(embed_dim, batch_size, length, "float8_e4m3fn")


@dataclass(frozen=True)
class Boastful(Transformer):
    def flops_per_token(self, seq_len: int) -> float:
        return 1.3 * super().flops_per_token(seq_len)


def with_block(subject, **parts):
    stack = subject.model.decoder[0]
    block: Block = replace(stack.pattern[0], **parts)
    return replace(subject, model=replace(subject.model, decoder=(replace(stack, pattern=(block,)),)))


@pytest.mark.parametrize(
    ("kind", "law", "says"),
    [
        ("ahead", sight.sight, "no place sees one after it"),
        ("unnamed", execution.named_axes, "each axis of a parameter has a name that the rules know"),
        ("batch", execution.microbatches, "4 microbatches: the same loss and gradient"),
    ],
)
def test_a_planted_fault_of_a_layer_is_found(subject_of, kind, law, says):
    subject = subject_of(CausalLM(), dropout=0.0)
    assert says in broken(with_block(subject, mlp=FaultyMLP(64, kind=kind)), law)
    assert not broken(with_block(subject, mlp=FaultyMLP(64)), law)


def test_attention_across_documents_is_found(subject_of):
    laws = broken(with_block(subject_of(CausalLM()), attention=Blind(4)), sight.sight)
    assert laws == ["no place sees another document", "no place sees padding"]


def test_a_cache_that_loses_something_is_found(subject_of):
    laws = broken(with_block(subject_of(CausalLM()), attention=Forgetful(4)), generation.cached)
    assert laws == ["generation with the cache is the same as without"]


def test_wrong_counts_are_found(subject_of):
    subject = subject_of(CausalLM(), embed_dim=128)
    boastful = Boastful(**{name: getattr(subject.model, name) for name in vars(subject.model)})
    assert broken(replace(subject, model=boastful), counts.flops) == ["flops_per_token() is within 10 % of XLA's count"]


@pytest.mark.parametrize(("width", "layers"), [(32, 1), (64, 2)])
def test_the_count_of_a_small_model_with_a_large_head_is_right(subject_of, width, layers):
    """Its head is most of its products."""
    assert not broken(subject_of(CausalLM(), embed_dim=width, num_layers=layers, vocab_size=2000, dropout=0.0), counts.flops)


def test_what_does_not_apply_says_why(subject_of):
    subject = subject_of(MaskedLM(), num_layers=1)
    found = {verdict.law: verdict for law in (sight.sight, generation.cached) for verdict in verdicts(law, subject)}
    assert found["no place sees one after it"].measured == "the model is bidirectional"
    assert found["generation with the cache is the same as without"].holds is None
    assert found["each place sees those after it"].holds
