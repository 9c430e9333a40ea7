"""The search against all texts there are, against greedy decoding, and from the command line's settings."""

import itertools

import jax
import numpy as np
import pytest
from tiny import model, params

from jaxlm.core import ConfigError
from jaxlm.generate import Beams, Continuation, Sampling, generate_texts, search, stream, stream_pieces
from jaxlm.generate.prompts import padded
from jaxlm.tokenizer import Characters

V, EOS, LIMIT = 5, 3, 3
PROMPTS = [np.array(ids, np.int32) for ids in ([2, 4, 1], [2], [2, 0, 0, 1, 4, 4, 1])]
READ = [np.array(ids, np.int32) for ids in ([2, 4, 1, 3], [2, 0, 3], [2, 1, 1, 1, 4, 4, 3])]
FAMILIES = ["gpt2", "transformer_2017"]


def tiny(family, **settings):
    m = model(family, num_layers=1, embed_dim=16, vocab_size=V + 2, **settings)  # two ids more than the tokenizer has
    return m, params(m, seed=1)


def read_by(m):
    return READ if m.encoder else []


def all_texts():
    """Those that end, and those that the limit cuts."""
    words = [id for id in range(V) if id != EOS]
    for length in range(LIMIT):
        yield from ((*ids, EOS) for ids in itertools.product(words, repeat=length))
    yield from itertools.product(words, repeat=LIMIT)


def log_probs_of(m, p, prompt, read, texts):
    """Of each text's tokens, by one pass over whole rows."""
    inputs = padded([np.concatenate([prompt, text]).astype(np.int32) for text in texts], "right")
    if read is not None:
        inputs = inputs._replace(encoder=padded([read] * len(texts), "right"))
    log_probs_BLV = jax.jit(lambda i: jax.nn.log_softmax(m.eval()(p, i).heads["lm"].logits()[..., :V]))(inputs)
    rows = np.asarray(log_probs_BLV)
    return [[rows[b, len(prompt) + n - 1, id] for n, id in enumerate(text)] for b, text in enumerate(texts)]


@pytest.mark.parametrize(("family", "alpha"), [("gpt2", 2.0), ("transformer_2017", 0.6)])
def test_with_a_beam_for_every_text_it_finds_the_best_of_all(family, alpha):
    m, p = tiny(family)
    texts, beams = list(all_texts()), Beams(num_beams=4**LIMIT + 4**3, length_penalty=alpha)
    found = search(m, p, PROMPTS, limits=[LIMIT] * 3, beams=beams, stop_ids=[EOS], encoder_texts=read_by(m), vocab_size=V)
    for b, prompt in enumerate(PROMPTS):
        told = log_probs_of(m, p, prompt, READ[b] if m.encoder else None, texts)
        scores = [sum(each) / ((5 + len(each)) / 6) ** alpha for each in told]
        best = sorted(range(len(texts)), key=lambda i: -scores[i])[:20]
        assert [text.ids for text in found[b][:20]] == [texts[i] for i in best]
        np.testing.assert_allclose([text.score for text in found[b][:20]], [scores[i] for i in best], rtol=1e-5)
        np.testing.assert_allclose(found[b][0].log_probs, told[best[0]], rtol=1e-4, atol=1e-5)
    assert len({text[1].ids for text in found}) > 1, "the test sees nothing where all prompts go on alike"


@pytest.mark.parametrize("family", FAMILIES)
def test_one_beam_is_greedy(family):
    m, _ = tiny(family)
    given = {"limits": [9, 3, 7], "stop_ids": [EOS], "encoder_texts": read_by(m), "vocab_size": V}
    second = 0
    for seed in range(8):
        p = params(m, seed)
        found = search(m, p, PROMPTS, beams=Beams(1), **given)
        steps = list(stream(m, p, PROMPTS, keys_B=jax.random.split(jax.random.key(0), 3), sampling=Sampling(0), top=2, **given))
        for b in range(3):
            own = [step for step in steps if step.running_B[b]]
            assert [text.ids for text in found[b]] == [tuple(int(step.ids_B[b]) for step in own)]
            np.testing.assert_allclose(found[b][0].log_probs, [step.log_probs_B[b] for step in own], rtol=1e-4, atol=1e-6)
            second += sum(int(step.top_ids_BT[b, 1]) == EOS for step in own)
    assert second, "an end that is second best ends nothing: not seen here"


@pytest.mark.parametrize("family", FAMILIES)
def test_other_prompts_beside_it_change_nothing(family):
    m, p = tiny(family)
    settings = {"beams": Beams(3), "stop_ids": [EOS], "vocab_size": V}
    together = search(m, p, PROMPTS, limits=[8, 5, 2], encoder_texts=read_by(m), **settings)
    for b, limit in enumerate([8, 5, 2]):
        (alone,) = search(m, p, PROMPTS[b : b + 1], limits=[limit], encoder_texts=read_by(m)[b : b + 1], **settings)
        assert [text.ids for text in alone] == [text.ids for text in together[b]]
        assert len(alone) == 3
        assert [text.score for text in alone] == sorted((text.score for text in alone), reverse=True)
        assert all(len(text.ids) <= limit and EOS not in text.ids[:-1] for text in alone)


TOKENIZER = Characters().train(lambda: ["abcdefghijklmnopqrstuvwxyz .,"])


def test_the_best_texts_come_as_pieces_of_each_prompt():
    m = model("gpt2", num_layers=1, embed_dim=16)
    p, settings = params(m, seed=3), {"max_tokens": 6, "num_beams": 3}
    two = generate_texts(m, p, TOKENIZER, ["a cat", "b"], num_samples=2, **settings)
    assert two[::2] == generate_texts(m, p, TOKENIZER, ["a cat", "b"], **settings)
    assert two[0] != two[1]
    pieces = list(stream_pieces(m, p, TOKENIZER, ["a cat", "b"], Continuation.of(num_samples=2, **settings)))
    assert ["".join(piece.text for piece in pieces if piece.row == row) for row in range(4)] == two
    assert [piece.last for piece in pieces].count(True) == 4
    assert generate_texts(m, p, TOKENIZER, ["a cat"], num_beams=1, max_tokens=6) == generate_texts(
        m, p, TOKENIZER, ["a cat"], temperature=0, max_tokens=6
    )
    assert generate_texts(m, p, TOKENIZER, [], num_beams=2) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_beams": 0}, "--num-beams: 0 is not at least 1"),
        ({"num_beams": 2, "length_penalty": -1.0}, "--length-penalty: -1.0 is not at least 0. The 2017 transformer has 0.6"),
        ({"length_penalty": 1.0}, "--length-penalty: 1.0 is of a search; give --num-beams too"),
        (
            {"num_beams": 2, "top_k": 3},
            "a search for the likeliest text draws nothing; it takes no --temperature, --top-k or --top-p",
        ),
        ({"num_beams": 2, "top": 3}, "it takes no --top."),
        ({"num_beams": 2, "num_samples": 3}, "--num-samples: a search with --num-beams 2 ends with so many texts; 3 are more"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, says):
    with pytest.raises(ConfigError) as raised:
        Continuation.of(**settings)
    assert says in str(raised.value)
