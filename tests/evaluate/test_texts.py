"""The cost of tokens and the vectors of texts, against the model called by hand."""

import jax
import numpy as np
import pytest
from tiny import call, model, params

from jaxlm.core import ConfigError, Inputs
from jaxlm.evaluate import embed, score
from jaxlm.tokenizer import Characters

CHARACTERS = Characters().train(lambda: ["abcdefghijklmnopqrstuvwxyz .,"])
V = CHARACTERS.vocab
TEXTS = ["the cat.", "a much longer text, of more tokens than one row", "", *(f"text {c}" for c in "abcdefghijklmnopqrs")]


@pytest.fixture(scope="module", params=["gpt2", "bert"])
def made(request):
    m = model(request.param, num_layers=1, embed_dim=16, context=64)
    return m, params(m)


def by_hand(m, p, ids):
    """(hidden states [L, D], log probabilities [L, V]) of one row."""
    tokens = np.array([ids], np.int32)
    out = call(m, p, Inputs(tokens, np.arange(len(ids), dtype=np.int32)[None], np.ones_like(tokens)))
    return np.asarray(out.hidden_BLD[0]), np.asarray(jax.nn.log_softmax(out.heads["lm"].logits()[0]))


def test_scores_are_those_of_the_model_called_by_hand(made):
    m, p = made
    found = score(m, p, CHARACTERS, TEXTS)
    for text, got in zip(TEXTS, found, strict=True):
        ids = CHARACTERS.encode_batch([text])[0].tolist()
        assert got.tokens == tuple(CHARACTERS.pieces(ids))
        if m.attention == "causal":
            log_probs = by_hand(m, p, [V.bos, *ids])[1]
            expected = [-log_probs[i, token] for i, token in enumerate(ids)]
        else:
            rows = [[V.bos, *ids[:i], V.mask, *ids[i + 1 :], V.eos] for i in range(len(ids))]
            expected = [-by_hand(m, p, row)[1][i + 1, ids[i]] for i, row in enumerate(rows)] if len(text) < 10 else got.nats_N
        np.testing.assert_allclose(got.nats_N, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got.bits_N * np.log(2), got.nats_N, rtol=1e-6)
    assert len(found[2].nats_N) == 0


def test_vectors_are_those_of_the_model_called_by_hand(made):
    m, p = made
    states = [by_hand(m, p, [V.bos, *CHARACTERS.encode_batch([text])[0].tolist(), V.eos])[0] for text in TEXTS]
    whole = embed(m, p, CHARACTERS, TEXTS, pooling=None)
    assert whole.shape == (len(TEXTS), max(map(len, states)), 16)
    for got, expected in zip(whole, states, strict=True):
        np.testing.assert_allclose(got[: len(expected)], expected, rtol=1e-4, atol=1e-5)
        assert not got[len(expected) :].any()
    np.testing.assert_allclose(embed(m, p, CHARACTERS, TEXTS), [state.mean(0) for state in states], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embed(m, p, CHARACTERS, TEXTS, pooling="cls"), whole[:, 0], rtol=1e-6)
    (state,) = embed(m, p, CHARACTERS, TEXTS[:1], pooling=None, ends=("cls", "sep"))
    ids = [V.cls, *CHARACTERS.encode_batch(TEXTS[:1])[0].tolist(), V.sep]
    np.testing.assert_allclose(state, by_hand(m, p, ids)[0], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_is_said(made):
    m, p = made
    with pytest.raises(ConfigError) as error:
        score(m, p, CHARACTERS, ["a" * 64])
    held = 63 if m.attention == "causal" else 62
    assert str(error.value) == (
        f"texts: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'... has 64 tokens; beside begin (and end) token the model's context of "
        f"64 holds {held}. Cut it into parts."
    )
    with pytest.raises(ConfigError, match=r"embed: pooling='max' is unknown. Allowed: 'mean', 'cls', None."):
        embed(m, p, CHARACTERS, ["a"], pooling="max")


def test_of_no_texts_there_is_nothing(made):
    m, p = made
    assert score(m, p, CHARACTERS, []) == []
    for pooling, shape in {"mean": (0, 16), "cls": (0, 16), None: (0, 0, 16)}.items():
        assert embed(m, p, CHARACTERS, [], pooling=pooling).shape == shape


def test_a_pair_is_scored_by_its_generator_and_embedded_by_its_discriminator():
    m = model("electra", num_layers=1)
    p = params(m)
    halves = {name: (getattr(m, name), {"embed": p["embed"], **p[name]}) for name in ("generator", "discriminator")}
    ours, theirs = score(m, p, CHARACTERS, ["the cat."]), score(*halves["generator"], CHARACTERS, ["the cat."])
    np.testing.assert_array_equal(ours[0].nats_N, theirs[0].nats_N)
    found = embed(m, p, CHARACTERS, ["the cat."])
    assert found.shape == (1, 32)
    np.testing.assert_array_equal(found, embed(*halves["discriminator"], CHARACTERS, ["the cat."]))


@pytest.mark.parametrize("command", [score, embed])
def test_a_model_that_reads_a_second_text_is_refused(command):
    with pytest.raises(ConfigError) as error:
        command(model("t5"), None, CHARACTERS, TEXTS)
    assert str(error.value) == (
        f"{command.__name__}: the model is an encoder-decoder, and its encoder would have nothing to read; use a run of a model "
        "without an encoder"
    )
