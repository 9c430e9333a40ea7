"""Replaced-token detection: what is judged, what each half learns from, and that draws belong to their row."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import ConfigError, Outputs, Readout, Vocab
from jaxlm.objectives import MaskedLM, ReplacedTokenDetection

L, V = tiny.SEQ_LEN, tiny.VOCAB_SIZE
OBJECTIVE = ReplacedTokenDetection(mask_rate=0.4)
BATCH = tiny.batch(OBJECTIVE, 6, padded=8)
REAL_BL = BATCH["segments"] > 0


class Told:
    """A generator that writes what it is told, [B, L], and a discriminator that keeps what it was given."""

    def __init__(self, words_BL):
        self.words_BL = words_BL

    def generate(self, params, inputs, *, rng=None):
        hidden_BLV = 100.0 * jax.nn.one_hot(self.words_BL, V)
        return Outputs(hidden_BLV, {"lm": Readout(hidden_BLV, jnp.eye(V), None, V)}, {})

    def __call__(self, params, inputs, *, cache=None, rng=None):
        self.given_BL = np.asarray(inputs.tokens_BL)
        return Outputs(params, {"replaced": params}, {})


def told(words_BL, score):
    model = Told(words_BL)
    sums = OBJECTIVE.loss(model, jnp.full(words_BL.shape, score), BATCH, jax.random.key(0))
    return model, {name: float(total / weight) for name, (total, weight) in sums.metrics.items()}, sums


def test_what_is_drawn_stands_in_the_gaps_and_all_else_as_it_was():
    gap_BL = BATCH["weights"] > 0
    words_BL = np.full_like(BATCH["tokens"], 9)
    model, _, _ = told(words_BL, 0.0)
    np.testing.assert_array_equal(model.given_BL, np.where(gap_BL, 9, BATCH["tokens"]))
    np.testing.assert_array_equal(BATCH["tokens"][~gap_BL], BATCH["targets"][~gap_BL])
    assert not (model.given_BL == tiny.vocab().mask).any()


def test_a_draw_that_is_the_original_counts_as_original():
    _, right, _ = told(BATCH["targets"], 0.0)
    assert right["replaced"] == 0
    assert right["generator_accuracy"] == 1
    half_BL = np.where(np.arange(L) % 2, BATCH["targets"], (BATCH["targets"] + 1) % V)
    _, found, _ = told(half_BL, -2.0)
    wrong = ((BATCH["weights"] > 0) & (np.arange(L) % 2 == 0)).sum()
    assert found["replaced"] == pytest.approx(wrong / REAL_BL.sum(), rel=1e-6)
    assert found["discriminator_accuracy"] == pytest.approx(1 - wrong / REAL_BL.sum(), rel=1e-6)


def test_the_loss_is_that_of_the_paper():
    """Section 2: -sum over t of 1(real) log D + 1(replaced) log(1 - D), a mean over real tokens, 50 times; D is of being real."""
    words_BL = (BATCH["targets"] + (np.arange(L) % 3 == 0)) % V
    _, metrics, sums = told(words_BL, 1.5)
    replaced_BL = (BATCH["weights"] > 0) & (words_BL != BATCH["targets"])
    original = 1 / (1 + np.exp(1.5))
    nll_BL = np.where(replaced_BL, -np.log(1 - original), -np.log(original))
    assert metrics["discriminator_nll"] == pytest.approx(nll_BL[REAL_BL].mean(), rel=1e-5)
    weights = OBJECTIVE.weights(BATCH)
    assert float(sums.terms["discriminator"] / weights["discriminator"]) == pytest.approx(50 * nll_BL[REAL_BL].mean(), rel=1e-5)
    assert float(weights["discriminator"]) == REAL_BL.sum()
    assert float(sums.terms["generator"] / weights["generator"]) == pytest.approx(metrics["generator_nll"], rel=1e-6)


@pytest.fixture(scope="module")
def pair():
    model = tiny.model("electra", num_layers=1)
    return model, tiny.params(model)


def gradient(objective, model, params, terms):
    total = lambda p: sum(objective.loss(model, p, BATCH, jax.random.key(0)).terms[name] for name in terms)
    return jax.jit(jax.grad(total))(params)


def test_the_generator_learns_from_its_own_loss_alone(pair):
    """No gradient flows through the draws: the discriminator's loss moves the shared embedding and itself."""
    model, params = pair
    of_discriminator = gradient(OBJECTIVE, model, params, ["discriminator"])
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(of_discriminator["generator"]))
    assert np.asarray(of_discriminator["embed"]["table"]).any()
    ours = gradient(OBJECTIVE, model, params, ["generator"])
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(ours["discriminator"]))
    theirs = gradient(MaskedLM(mask_rate=0.4), model.generator, {"embed": params["embed"], **params["generator"]}, ["tokens"])
    for name in ("lm", "decoder_0"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours["generator"][name], theirs[name])


def test_draws_are_keyed_by_row_and_made_in_evaluation_too(pair):
    model, params = pair
    given = []

    class Kept:
        """The pair in evaluation, whose discriminator keeps what it is given."""

        generate = staticmethod(model.eval().generate)

        def __call__(self, params, inputs, *, cache=None, rng=None):
            given.append(inputs.tokens_BL)
            return Outputs(None, {"replaced": jnp.zeros(inputs.tokens_BL.shape)}, {})

    @jax.jit
    def drawn(batch, key):
        OBJECTIVE.loss(Kept(), params, batch, key)
        return given.pop()

    whole = drawn(BATCH, jax.random.key(0))
    order = [4, 1, 7, 0, 2, 3, 5, 6]
    moved = drawn({name: values[order] for name, values in BATCH.items()}, jax.random.key(0))
    np.testing.assert_array_equal(moved, whole[jnp.array(order)])
    assert (drawn(BATCH, jax.random.key(1)) != whole).any()
    alike = {**{name: np.stack([values[0]] * 8) for name, values in BATCH.items()}, "row": np.arange(8, dtype=np.int32)}
    assert len({tuple(row) for row in drawn(alike, jax.random.key(0)).tolist()}) > 1  # by their positions


def test_rows_are_those_of_masked_lm():
    given = replace(OBJECTIVE, replace_with_mask=0.8, replace_with_random=0.1)
    ours, theirs = (tiny.batch(objective, 4) for objective in (given, MaskedLM(mask_rate=0.4)))
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values)
    assert ours.keys() - theirs.keys() == {"discriminator_weights"}


def test_what_cannot_be_is_said():
    with pytest.raises(ConfigError) as error:
        ReplacedTokenDetection(discriminator_weight=0.0)
    assert str(error.value) == "objective.discriminator_weight=0.0 must be above 0"
    without = Vocab(61, "tiny", pad=0, bos=2, eos=3, special_V=tiny.vocab().special_V)
    with pytest.raises(ConfigError, match=r"^objective ReplacedTokenDetection needs a .MASK. token and the tokenizer has none"):
        ReplacedTokenDetection().check(without, L)
