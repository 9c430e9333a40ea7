"""What stands in a gap, and what is around it."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from tiny import model, params

from jaxlm.core import ConfigError, Inputs
from jaxlm.core.vocab import ENDS
from jaxlm.generate import fill_mask, gaps, generate_texts
from jaxlm.tokenizer import Characters, SentencePiece

CHARACTERS = Characters().train(lambda: ["abcdefghijklmnopqrstuvwxyz .,"])


@pytest.fixture(scope="module")
def pieces():
    return SentencePiece(vocab_size=330).train(lambda: ["the cat sat on the mat. the mat sat on the cat.\n" * 20])


@pytest.fixture(scope="module")
def bert():
    m = model("bert", num_layers=1, embed_dim=16)
    return m, params(m)


def row(tokenizer, prompt, ends=ENDS):
    return gaps._with_gaps(tokenizer, prompt, 512, ends).tolist()


def test_the_space_in_front_belongs_to_the_token_that_is_sought(pieces):
    """So the gap's context is that of the whole text with one token of it hidden."""
    whole = pieces.encode_batch(["the cat sat on the mat."])[0].tolist()
    names = pieces.pieces(whole)
    place = names.index("\u2581mat")
    whole[place] = pieces.vocab.mask
    assert row(pieces, "the cat sat on the [MASK].") == [pieces.vocab.bos, *whole, pieces.vocab.eos]


def test_spaces_that_are_tokens_of_their_own_stay():
    v = CHARACTERS.vocab
    assert row(CHARACTERS, "a [MASK]b") == [
        v.bos,
        *CHARACTERS.encode_batch(["a "])[0],
        v.mask,
        *CHARACTERS.encode_batch(["b"])[0],
        v.eos,
    ]


def test_gaps_at_the_ends_and_side_by_side(pieces):
    v = pieces.vocab
    assert row(pieces, "[MASK]") == [v.bos, v.mask, v.eos]
    assert row(pieces, "[MASK]", ("cls", "sep")) == [v.cls, v.mask, v.sep]
    assert row(pieces, "[MASK][MASK] [MASK]") == [v.bos, v.mask, v.mask, v.mask, v.eos]


def test_a_model_that_knows_the_answer_gives_it(pieces):
    """Its output bias outweighs all else, so each gap is filled with the piece of the largest bias that stands for text."""
    m = model("bert", num_layers=1, embed_dim=16, vocab_size=pieces.vocab.size + 3)
    p = jax.tree.map(np.array, nn.unbox(m.init(jax.random.key(0))))
    answer = pieces.pieces(range(pieces.vocab.size)).index("\u2581mat")
    (path,) = [
        path
        for path, leaf in jax.tree_util.tree_leaves_with_path(p)
        if path[-1].key == "bias" and leaf.shape == (pieces.vocab.size + 3,)
    ]
    bias_V = p[path[0].key][path[1].key]
    bias_V[answer], bias_V[pieces.vocab.pad], bias_V[-1] = 20, 22, 22
    (filled,) = fill_mask(m, p, pieces, ["the cat sat on the [MASK]."], top=2)
    assert filled.text == "the cat sat on the mat."
    assert filled.masks[0][0][:2] == ("\u2581mat", answer)
    assert filled.masks[0][0].probability == pytest.approx(1 / (1 + np.exp(2)), rel=0.2), (
        "among the tokenizer's tokens, special ones too"
    )
    assert len(filled.masks[0]) == 2


def test_scores_are_those_of_the_text_alone(bert):
    m, p = bert
    prompts = ["a[MASK]c", "the [MASK] and [MASK], x", "[MASK]"]
    found = fill_mask(m, p, CHARACTERS, prompts, top=7)
    for prompt, filled in zip(prompts, found, strict=True):
        ids = np.array([row(CHARACTERS, prompt)])
        out = m.eval()(p, Inputs(ids, np.arange(ids.shape[1])[None], np.ones_like(ids)))
        probabilities_LV = np.array(jax.nn.softmax(out.heads["lm"].logits()[0, :, : CHARACTERS.vocab.size]))
        places = np.flatnonzero(ids[0] == CHARACTERS.vocab.mask)
        assert len(filled.masks) == len(places) == prompt.count("[MASK]")
        for place, gap in zip(places, filled.masks, strict=True):
            ordinary_V = np.where(CHARACTERS.vocab.special_V, 0, probabilities_LV[place])
            assert [c.id for c in gap] == np.argsort(-ordinary_V)[:7].tolist()
            np.testing.assert_allclose([c.probability for c in gap], -np.sort(-ordinary_V)[:7], rtol=1e-4)
        expected = prompt
        for gap in filled.masks:
            expected = expected.replace("[MASK]", gap[0].token, 1)
        assert filled.text == expected


def test_a_causal_model():
    m = model("gpt2")
    with pytest.raises(
        ConfigError, match=r"^fill-mask: the model's attention is causal.*use `jaxlm generate`, or a run with objective MaskedLM"
    ):
        fill_mask(m, None, CHARACTERS, ["[MASK]"])


def test_a_tokenizer_without_mask(bert):
    class Tokenizer:
        vocab = type("Vocab", (), {"size": 9, "mask": None})

    with pytest.raises(ConfigError, match=r"^fill-mask: the run's tokenizer has no mask token; use a run whose"):
        fill_mask(*bert, Tokenizer(), ["[MASK]"])


def test_prompts_that_cannot_be_filled(bert):
    with pytest.raises(ConfigError, match=r"^--prompt: 'no gap' has no \[MASK\]\. Write \[MASK\] where"):
        fill_mask(*bert, CHARACTERS, ["a [MASK]", "no gap"])
    with pytest.raises(
        ConfigError, match=r"^--prompt: its 33 tokens are more than the model's context of 32\. Shorten it to at most 32"
    ):
        fill_mask(*bert, CHARACTERS, ["[MASK]" + "a" * 30])
    fill_mask(*bert, CHARACTERS, ["[MASK]" + "a" * 29])
    with pytest.raises(ConfigError, match=r"^--top: 0 is not within 1 and"):
        fill_mask(*bert, CHARACTERS, ["[MASK]"], top=0)
    most = CHARACTERS.vocab.size - 7
    assert len(fill_mask(*bert, CHARACTERS, ["[MASK]"], top=most)[0].masks[0]) == most
    with pytest.raises(ConfigError, match=rf"^--top: {most + 1} is not within 1 and {most}, the number of tokens"):
        fill_mask(*bert, CHARACTERS, ["[MASK]"], top=most + 1)


def test_no_prompts(bert):
    assert fill_mask(*bert, CHARACTERS, []) == []


def test_a_pairs_gaps_are_filled_by_its_generator_and_it_writes_no_text(pieces):
    m = model("electra", num_layers=1, vocab_size=pieces.vocab.size)
    p = params(m)
    prompts = ["the cat [MASK] on the mat."]
    alone = fill_mask(m.generator, {"embed": p["embed"], **p["generator"]}, pieces, prompts)
    assert fill_mask(m, p, pieces, prompts) == alone
    with pytest.raises(
        ConfigError, match=r"^the run's model scores no words: it has no head 'lm'; use a run whose model has one.$"
    ):
        fill_mask(m.discriminator, {"embed": p["embed"], **p["discriminator"]}, pieces, prompts)
    with pytest.raises(ConfigError, match=r"^generate: the model's attention is bidirectional, .* use `jaxlm fill-mask`"):
        generate_texts(m, p, pieces, ["the cat"])
