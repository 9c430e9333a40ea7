"""Blends: each row is one member's, as often as asked; what cannot be blended is refused."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError
from jaxlm.core.noise import host_generator
from jaxlm.objectives import Blend, CausalLM, FillInMiddle, MaskedLM, NextSentence, ReplacedTokenDetection, Spans

L, ROWS = 32, 2000
VOCAB = tiny.vocab()
BLEND = Blend((CausalLM(), 1), (FillInMiddle(rate=1.0), 3))


def row(objective, number):
    window = tiny.window(BLEND.raw_length(L), number)
    return window, objective.prepare((window,), host_generator(0, "prepare", number), VOCAB, L)


def test_each_row_is_one_members_as_often_as_asked():
    members = Counter()
    for number in range(ROWS):
        window, example = row(BLEND, number)
        members[int(example["member"])] += 1
        assert (VOCAB.sentinels[0] in example["tokens"]) == (example["member"] == 1)
        if example["member"] == 0:
            np.testing.assert_array_equal(example["tokens"], window.ids_N[:-1])
    assert tiny.likely(members[0], ROWS, 0.25)
    assert members[0] + members[1] == ROWS


def test_members_keep_their_settings_and_can_be_replaced():
    same = replace(BLEND, members=((CausalLM(), 1.0), (FillInMiddle(rate=0.0), 3.0)))
    assert same.members[1][0].rate == 0
    assert not any(VOCAB.sentinels[0] in row(same, number)[1]["tokens"] for number in range(20))


@dataclass(frozen=True)
class Louder(CausalLM):
    """The same loss with a setting of its own, and another that would be another loss."""

    extra: bool = False

    def prepare(self, windows, rng, vocab, seq_len):
        example = super().prepare(windows, rng, vocab, seq_len)
        return {**example, "extra": example["targets"]} if self.extra else example


@dataclass(frozen=True)
class Quieter(CausalLM):
    def loss(self, model, params, batch, rng):
        return super().loss(model, params, batch, rng)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Blend(), "objective.members: there is none; give pairs of an objective and its share"),
        (
            lambda: Blend((CausalLM(), 0)),
            "objective.members: [0] are no shares; each must be a number above 0, and their sum finite",
        ),
        (
            lambda: Blend((CausalLM(), 1), (MaskedLM(), 1)),
            "objective.members: CausalLM and MaskedLM cannot be blended: they differ in loss. One loss learns all rows; make it the "
            "same, or train one of them",
        ),
        (
            lambda: Blend((CausalLM(), 1), (Quieter(), 1)),
            "objective.members: CausalLM and Quieter cannot be blended: they differ in loss. One loss learns all rows; make it the "
            "same, or train one of them",
        ),
        (
            lambda: Blend((MaskedLM(), 1), (MaskedLM(mask_rate=0.4), 1)).check(VOCAB, 16),
            "objective.members: MaskedLM and MaskedLM cannot be blended: their rows differ in the field 'masked_index'",
        ),
        (
            lambda: Blend((CausalLM(), 1), (CausalLM(z_loss=0.1), 1)),
            "objective.members: CausalLM and CausalLM cannot be blended: they differ in z_loss. One loss learns all rows; make it the "
            "same, or train one of them",
        ),
        (
            lambda: Blend((CausalLM(), 1), (Louder(extra=True), 1)).check(VOCAB, 16),
            "objective.members: CausalLM and Louder cannot be blended: their rows differ in the field 'extra'",
        ),
        (
            lambda: Blend((CausalLM(), 1), (FillInMiddle(), 1)).check(replace(VOCAB, sentinels=()), 16),
            "objective Blend needs 3 sentinels and the tokenizer has 0; give one that has them: "
            "tokenizer.num_sentinels=3 where it is made here",
        ),
    ],
)
def test_what_cannot_be_blended(make, words):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value) == words


def test_shares_and_objectives_that_are_none():
    for share in (float("inf"), float("nan"), -1):
        with pytest.raises(
            ConfigError,
            match=rf"^objective\.members: \[{share}\] are no shares; each must be a number above 0, and their sum finite$",
        ):
            Blend((CausalLM(), share))
    for share in ("0.5", 1e308):
        with pytest.raises(ConfigError, match=r"are no shares; each must be a number above 0, and their sum finite$"):
            Blend((CausalLM(), share), (FillInMiddle(), share))
    with pytest.raises(
        ConfigError, match=r"^objective\.members: CausalLM\(.*\) is no pair of an objective and its share: \(CausalLM"
    ):
        Blend(CausalLM(), FillInMiddle())


def test_what_can():
    Blend((MaskedLM(), 1), (MaskedLM(masking=Spans(), replace_with_mask=1.0, replace_with_random=0.0), 1)).check(VOCAB, 16)
    Blend((CausalLM(), 1), (Louder(), 1)).check(VOCAB, 16)
    Blend((ReplacedTokenDetection(), 1), (ReplacedTokenDetection(masking=Spans()), 1)).check(VOCAB, 16)
    Blend((NextSentence(), 1), (NextSentence(masking=Spans(), random_rate=0.3), 1)).check(VOCAB, 16)


def test_a_blend_of_blends_is_one_of_their_members():
    inner = Blend((CausalLM(), 3), (FillInMiddle(), 1))
    assert Blend((inner, 8), (FillInMiddle(rate=0.1), 2)) == Blend(
        (CausalLM(), 6.0), (FillInMiddle(), 2.0), (FillInMiddle(rate=0.1), 2)
    )
