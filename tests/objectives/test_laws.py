"""What holds for every objective; a new one is tested by being listed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxlm.core import Outputs, Readout, Window
from jaxlm.core.noise import host_generator
from jaxlm.objectives import OBJECTIVES, Blend, CausalLM, FillInMiddle, MaskedLM, Spans, WholeWords

L, V = tiny.SEQ_LEN, tiny.VOCAB_SIZE
FIELDS = {"tokens": np.int32, "positions": np.int32, "segments": np.int32, "targets": np.int32, "weights": np.float32}

VARIANTS = [Blend((CausalLM(), 1), (FillInMiddle(), 3)), MaskedLM(masking=WholeWords()), MaskedLM(masking=Spans())]

pytestmark = pytest.mark.parametrize(
    "objective",
    [*(cls() for cls in OBJECTIVES), *VARIANTS],
    ids=lambda o: repr(o).split("(", 1)[0] + str(getattr(o, "masking", "")),
)


def prepare(objective, row, *, seed=0, window=None):
    windows = tuple(
        tiny.window_for(objective, objective.raw_length(L), row + 100 * k, padding=row % 5) if window is None else window
        for k in range(objective.num_windows)
    )
    return objective.prepare(windows, host_generator(seed, "prepare", row), tiny.vocab(), L)


class Scores:
    """A model whose parameters are the logits [B, L, V] themselves: gradients tell places apart. Of a pair it is both: the first
    logit is what the discriminator says."""

    def __call__(self, params, inputs, *, cache=None, rng=None):
        heads = {"lm": Readout(params, jnp.eye(V), None, V), "replaced": params[..., 0], "pairs": jnp.zeros((len(params), 2))}
        return Outputs(params, heads, {})

    generate = __call__

    def eval(self):
        return self


def logits(batch):
    return jax.random.normal(jax.random.key(0), (*batch["tokens"].shape, V))


def weighed(batch):
    """[B, L]: what a term learns from; an objective of several terms has several weights, some of whole rows."""
    return sum(batch[name] for name in batch if name.endswith("weights") and batch[name].ndim == 2) > 0


def numerators(objective, params, batch, model=None):
    return objective.loss(model or Scores(), params, batch, jax.random.key(1))


def test_a_row_has_its_fields(objective):
    example = prepare(objective, 3)
    for name, dtype in FIELDS.items():
        assert example[name].shape == (objective.row_length(L),), name
        assert example[name].dtype == dtype, name
    empty = prepare(objective, 4, window=Window.empty(objective.raw_length(L), objective.streams[1:]))
    kinds, kinds_of_empty = ({name: (a.shape, a.dtype) for name, a in row.items()} for row in (example, empty))
    assert kinds_of_empty == kinds  # rows of a batch can be stacked
    assert example["weights"].sum() > 0
    assert not (example["weights"] * (example["segments"] == 0)).any()


def test_a_row_is_a_pure_function_of_windows_and_key(objective):
    window = tiny.window_for(objective, objective.raw_length(L), 7)
    before = [array.copy() for array in window[:3]]
    first, again = (prepare(objective, 7, window=window) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    for array, kept in zip(window[:3], before, strict=True):
        np.testing.assert_array_equal(array, kept)  # it may be a view of the store
    other_text = prepare(objective, 7, window=tiny.window_for(objective, objective.raw_length(L), 8))
    assert (other_text["targets"] != first["targets"]).any()


def test_padding_alone_weighs_nothing(objective):
    example = prepare(objective, -1, window=Window.empty(objective.raw_length(L), objective.streams[1:]))
    assert not example["weights"].any()
    assert not example["segments"].any()
    batch = {**{name: array[None] for name, array in example.items()}, "row": np.int32([-1])}
    sums, gradient = jax.value_and_grad(lambda p: sum(numerators(objective, p, batch).terms.values()))(logits(batch))
    assert sums == 0
    assert not np.asarray(gradient).any()
    assert not any(np.asarray(weight).any() for weight in objective.weights(batch).values())


def test_places_of_weight_0_have_no_gradient_and_the_others_have(objective):
    batch = tiny.batch(objective, 6, padded=8)
    gradient_BLV = jax.grad(lambda p: sum(numerators(objective, p, batch).terms.values()))(logits(batch))
    moved_BL = np.abs(gradient_BLV).sum(-1) > 0
    np.testing.assert_array_equal(moved_BL, weighed(batch))


def test_targets_of_weight_0_are_never_read(objective):
    batch = tiny.batch(objective, 6, padded=8)
    other = {**batch, "targets": np.where(weighed(batch), batch["targets"], (batch["targets"] + 11) % V)}
    ours, theirs = (numerators(objective, logits(batch), b) for b in (batch, other))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_sums_of_two_halves_add_up_to_the_whole(objective):
    batch = tiny.batch(objective, 8)
    params = logits(batch)
    whole = numerators(objective, params, batch), objective.weights(batch)
    # of uneven size and weight
    cuts = [slice(0, 3), slice(3, 8)]
    parts = [{name: array[cut] for name, array in batch.items()} for cut in cuts]
    sums = [(numerators(objective, params[cut], part), objective.weights(part)) for cut, part in zip(cuts, parts, strict=True)]
    assert jax.tree.structure(sums[0]) == jax.tree.structure(whole)
    jax.tree.map(lambda a, b, all: np.testing.assert_allclose(a + b, all, rtol=1e-5), *sums, whole)


def test_terms_are_those_that_are_weighed(objective):
    batch = tiny.batch(objective, 4)
    sums, weights = numerators(objective, logits(batch), batch), objective.weights(batch)
    assert sums.terms.keys() == weights.keys()
    assert all(np.shape(leaf) == () for leaf in jax.tree.leaves((sums, weights)))


def test_weights_need_no_model_and_are_those_of_the_loss(objective):
    batch = tiny.batch(objective, 4)
    sums, weights = numerators(objective, logits(batch), batch), objective.weights(batch)
    jax.tree.map(np.testing.assert_allclose, weights, sums.weights)


def test_what_is_given_does_not_tell_what_is_asked(objective):
    """A causal loss up to a place ignores all tokens after it; which tokens of a masked row are hidden, and what stands in
    their place, follows from the row's key, not from what they are."""
    if objective.attention != "causal":
        for row in range(20):
            given = [_windows(objective, row, other) for other in (lambda ids: ids, _another_of_its_sort)]
            one, two = (objective.prepare(windows, host_generator(0, "prepare", row), tiny.vocab(), L) for windows in given)
            hidden = one["tokens"] == tiny.vocab().mask
            np.testing.assert_array_equal(hidden, two["tokens"] == tiny.vocab().mask)
            np.testing.assert_array_equal(_another_of_its_sort(one["targets"]), two["targets"])
            assert (one["targets"] != two["targets"])[hidden].all()
        return
    model = tiny.model_for(objective, num_layers=1)
    params = tiny.params(model)
    batch = tiny.batch(objective, 4)
    place = np.arange(objective.row_length(L)) < objective.row_length(L) // 3
    batch["weights"] = batch["weights"] * place
    other = {**batch, "tokens": np.where(place, batch["tokens"], (batch["tokens"] + 3) % V)}
    assert batch["weights"].any()
    loss = jax.jit(lambda b: objective.loss(model, params, b, jax.random.key(0)).terms)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), loss(batch), loss(other))


def _windows(objective, row, changed):
    windows = [tiny.window_for(objective, objective.raw_length(L), row + 1000 * k) for k in range(objective.num_windows)]
    return tuple(window._replace(ids_N=changed(window.ids_N)) for window in windows)


def _another_of_its_sort(ids):
    """Another ordinary id for each, which starts a word where it does."""
    return np.where(tiny.vocab().special_V[ids], ids, 7 + (ids - 5) % ((V - 10) // 2 * 2))


def test_loss_and_gradient_are_finite(objective):
    model = tiny.model_for(objective, num_layers=1)
    params, batch = tiny.params(model), tiny.batch(objective, 3, padded=4)
    gradient = jax.jit(jax.grad(lambda p: sum(objective.loss(model, p, batch, jax.random.key(0)).terms.values())))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient))
