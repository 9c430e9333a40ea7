"""Two transformers with one embedding: each computes what it would alone, with its own noise."""

from dataclasses import replace

import flax.linen as nn
import jax
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Inputs
from jaxlm.models import Pair, bert

TOKENS_BL = np.arange(7, 19, dtype=np.int32).reshape(2, 6)
PLACES_BL = np.broadcast_to(np.arange(6, dtype=np.int32), (2, 6))
INPUTS = Inputs(TOKENS_BL, PLACES_BL, np.ones_like(TOKENS_BL), np.arange(2, dtype=np.int32))


MODEL = tiny.model("electra", num_layers=1)


@pytest.fixture(scope="module")
def params():
    return tiny.params(MODEL)


def test_the_embedding_is_stored_once(params):
    assert params.keys() == {"embed", "generator", "discriminator"}
    assert not any("embed" in params[half] for half in ("generator", "discriminator"))
    shared = sum(leaf.size for leaf in jax.tree.leaves(params["embed"]))
    assert MODEL.num_params() == MODEL.generator.num_params() + MODEL.discriminator.num_params() - shared


def test_the_call_is_the_discriminator_and_generate_the_generator(params):
    judged, written = MODEL(params, INPUTS), MODEL.generate(params, INPUTS)
    for out, half, width in ((judged, "discriminator", 32), (written, "generator", 16)):
        alone = getattr(MODEL, half)({"embed": params["embed"], **params[half]}, INPUTS)
        np.testing.assert_array_equal(out.hidden_BLD, alone.hidden_BLD)
        assert out.hidden_BLD.shape == (2, 6, width)
    assert judged.heads["replaced"].shape == (2, 6)
    assert written.heads["lm"].logits().shape == (2, 6, tiny.VOCAB_SIZE)


def test_halves_have_noise_of_their_own_and_none_in_evaluation():
    embed = bert(num_layers=1, embed_dim=16, num_heads=2, vocab_size=tiny.VOCAB_SIZE, context=32, dropout=0.5)
    twins = Pair(embed, embed)
    one = nn.unbox(embed.init(jax.random.key(0)))
    params = {"embed": one.pop("embed"), "generator": one, "discriminator": one}
    same = [model(params, INPUTS).hidden_BLD for model in (twins, twins.eval())]
    np.testing.assert_array_equal(twins.generate(params, INPUTS).hidden_BLD, same[0])
    key = jax.random.key(1)
    noisy = [call(params, INPUTS, rng=key).hidden_BLD for call in (twins, twins.generate)]
    assert min(np.abs(a - b).max() for a, b in [noisy, (noisy[0], same[0]), (noisy[1], same[0])]) > 0.1
    quiet = twins.eval()
    for call in (quiet, quiet.generate):
        np.testing.assert_array_equal(call(params, INPUTS, rng=key).hidden_BLD, same[0])


def test_how_it_is_computed_reaches_both():
    other = MODEL.computed(dtype="bfloat16", remat="full", unroll=True, kernel="plain")
    for half in (other.generator, other.discriminator):
        assert (half.dtype, half.remat, half.unroll, half.kernel) == ("bfloat16", "full", True, "plain")
    assert (other.remat, other.unroll) == ("full", True)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            replace(MODEL, generator=MODEL.generator.with_embed(replace(MODEL.embed, dropout=0.1))),
            "model.generator.embed.dropout=0.1 and model.discriminator.embed.dropout=0.0 differ, and a pair has one embedding; "
            "set both alike",
        ),
        (
            Pair(MODEL.discriminator, MODEL.discriminator),
            "model.generator.heads: a pair's generator needs one of the name 'lm' and has 'replaced'",
        ),
        (
            Pair(MODEL.generator, MODEL.generator),
            "model.discriminator.heads: a pair's discriminator needs one of the name 'replaced' and has 'lm'",
        ),
        (
            replace(MODEL, discriminator=replace(MODEL.discriminator, width=30)),
            "model.discriminator.decoder.0.pattern.0.attention.num_heads=4 does not divide embed_dim=30; choose a divisor or set head_dim",
        ),
        (
            replace(MODEL, generator=replace(MODEL.generator, heads=(("lm", tiny.model("gpt2").heads[0][1]),))),
            None,
        ),
    ],
    ids=["embeddings", "no lm", "no replaced", "width", "fits"],
)
def test_what_does_not_fit_is_named(model, words):
    if words is None:
        return model.check()
    with pytest.raises(ConfigError) as error:
        model.check()
    assert str(error.value) == words


def test_a_tied_head_needs_the_tables_width():
    plain = tiny.model("gpt2", num_layers=1)
    with pytest.raises(ConfigError) as error:
        replace(plain, width=64).check()
    assert str(error.value) == (
        "model.width=64 is not model.embed.embed_dim=32, the width of the table that the head 'lm' scores with; set "
        "model.heads.0.1.transform, or its tied to False"
    )


def test_it_writes_no_text():
    with pytest.raises(ConfigError, match="a pair of generator and discriminator looks both ways, so it cannot write a text on"):
        MODEL.init_cache(1, 8)
