"""What stands in gaps of any length, from a model that writes it."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Window
from jaxlm.core.vocab import Gaps
from jaxlm.generate import Found, fill_spans, search, spans
from jaxlm.models.layers import LearnedPositions
from jaxlm.objectives import CausalLM, SpanCorruption, mixture_of_denoisers
from jaxlm.tokenizer import SentencePiece

TEXT = "the cat sat on the mat. the mat sat on the cat."


@pytest.fixture(scope="module")
def pieces():
    return SentencePiece(vocab_size=340, num_sentinels=6).train(lambda: [f"{TEXT}\n" * 20])


@pytest.fixture
def asked(monkeypatch, pieces):
    """What the search is given; it then finds " sat" and " mat", and another answer, without the second gap, twice."""
    given = {}
    first, second, third = pieces.vocab.sentinels[:3]
    sat, mat = (pieces.encode_batch([text])[0].tolist() for text in (" sat", " mat"))

    def found(model, params, prompts, **settings):
        given.update(settings, prompts=prompts)
        return [
            [
                Found(-1.0, (first, *sat, second, *mat, pieces.vocab.eos), (-0.5, -0.25)),
                Found(-2.0, (*mat, first, *mat, third), (-2.0,)),
                Found(-2.5, (first, *mat, second, pieces.vocab.eos), (-2.0, -0.5)),
            ]
        ]

    monkeypatch.setattr(spans, "search", found)
    return given


def test_the_encoder_reads_what_span_corruption_gives_it(pieces, asked):
    """The text with sentinels for what is hidden, as a row of training has it."""
    ids_N = pieces.encode_batch([TEXT])[0]
    row = SpanCorruption().prepare((Window.of([ids_N], len(ids_N)),), np.random.default_rng(0), pieces.vocab, 32)
    read_N = row["encoder_tokens"][row["encoder_segments"] > 0]
    cuts = [i for i, id in enumerate(read_N) if id in pieces.vocab.sentinels]
    parts = [pieces.decode(part) for part in np.split(read_N, cuts)]
    assert cuts
    fill_spans(tiny.model("t5"), None, pieces, ["[MASK]".join(parts)], Gaps((), pieces.vocab.sentinels))
    np.testing.assert_array_equal(asked["encoder_texts"][0], read_N)
    np.testing.assert_array_equal(asked["prompts"][0], row["tokens"][:1])
    assert asked["stop_ids"] == {pieces.vocab.eos, *pieces.vocab.sentinels[len(cuts) :]}


def test_the_text_is_filled_and_what_is_left_out_is_nothing(pieces, asked):
    ((best, other),) = fill_spans(
        tiny.model("t5"), None, pieces, ["the cat [MASK] on the [MASK]."], Gaps((7,), pieces.vocab.sentinels), top=2
    )
    assert best == ((" sat", " mat"), "the cat sat on the mat.", -0.75)
    assert other == ((" mat", ""), "the cat mat on the.", pytest.approx(np.logaddexp(-2.0, -2.5)))
    assert (asked["beams"].num_beams, asked["limits"]) == (2, [64])
    assert asked["encoder_texts"][0][0] == 7


def test_answers_are_those_of_a_search(pieces):
    m = tiny.model("t5", num_layers=1, vocab_size=pieces.vocab.size)
    p = tiny.params(m)
    (answers,) = fill_spans(m, p, pieces, ["the [MASK]"], Gaps((), pieces.vocab.sentinels), top=3)
    mark = pieces.vocab.sentinels[0]
    read_N = np.array([*pieces.encode_batch(["the"])[0], mark, pieces.vocab.eos], np.int32)
    (found,) = search(
        m,
        p,
        [np.array([pieces.vocab.bos], np.int32)],
        limits=[32],
        beams=spans.Beams(3, 0.0),
        stop_ids={pieces.vocab.eos, *pieces.vocab.sentinels[1:]},
        encoder_texts=[read_N],
        vocab_size=pieces.vocab.size,
    )
    assert sum(math.exp(a.log_prob) for a in answers) == pytest.approx(sum(math.exp(text.score) for text in found), rel=1e-5)
    assert all(later.log_prob <= sooner.log_prob for sooner, later in pairwise(answers))
    assert 1 <= len({answer.spans for answer in answers}) == len(answers) <= 3


def test_what_cannot_be_filled(pieces):
    model, gaps = tiny.model("t5", vocab_size=pieces.vocab.size), Gaps((), pieces.vocab.sentinels)
    with pytest.raises(ConfigError, match=r"^--prompt: 'a text' has no \[MASK\]\. Write \[MASK\] where"):
        fill_spans(model, None, pieces, ["a text"], gaps)
    with pytest.raises(ConfigError, match=r"^--prompt: it has 4 times \[MASK\], and the run sentinels for 3\. Write less"):
        fill_spans(model, None, pieces, ["[MASK]" * 4], Gaps((), pieces.vocab.sentinels[:3]))
    with pytest.raises(ConfigError, match=r"^--top: 0 is not within 1 and"):
        fill_spans(model, None, pieces, ["[MASK]"], gaps, top=0)
    short = replace(model, embed=replace(model.embed, positions=LearnedPositions(4)))
    with pytest.raises(ConfigError, match=r"^--prompt: its \d+ tokens are more than the 4 that the model's encoder can tell apart"):
        fill_spans(short, None, pieces, ["the cat sat on the [MASK]"], gaps)


def test_who_learns_to_fill_gaps():
    """T5's spans, and UL2's R, whose mode the encoder reads first."""
    v = tiny.vocab()
    v = replace(v, sentinels=(56, 57, *v.sentinels))
    assert SpanCorruption().gaps(v) == ((), v.sentinels)
    assert mixture_of_denoisers(32).gaps(v) == ((58,), (56, 57))
    assert SpanCorruption(mean_span=None, mode="S").gaps(v) is None
    assert CausalLM().gaps(v) is None
