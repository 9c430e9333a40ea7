"""What an objective's sums must keep to, so that any split of a batch gives the same update."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxlm.core import Sums
from jaxlm.laws.subject import EXACTLY, Subject, Verdict, spread


def names(subject: Subject) -> Iterator[Verdict]:
    """The terms of `loss` are those of `weights`, and so are their weights."""
    sums, weights = _sums_and_weights(subject, subject.batch)
    same = sums.terms.keys() == weights.keys()
    yield Verdict("the terms of loss and weights are the same", same, f"{sorted(sums.terms)}; {sorted(weights)}")
    if same:
        law = "what a term is divided by is the weight that it was summed with"
        yield Verdict.within(law, spread(weights, sums.weights), EXACTLY)


def halves(subject: Subject) -> Iterator[Verdict]:
    """Uneven parts of a batch add up to the whole, numerators and denominators."""
    cuts = slice(0, 5), slice(5, None)
    parts = [{name: values[cut] for name, values in subject.batch.items()} for cut in cuts]
    added = jax.tree.map(np.add, *(_sums_and_weights(subject, part) for part in parts))
    whole = _sums_and_weights(subject, subject.batch)
    apart = max(spread(a, b) for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(added), strict=True))
    yield Verdict.within("the sums of two parts add up to the whole", apart, EXACTLY)


def weight_zero(subject: Subject) -> Iterator[Verdict]:
    """What weighs nothing moves nothing: not a bit of any gradient."""
    batch = dict(subject.batch)
    kept = np.random.default_rng(0).random(batch["weights"].shape) < 0.5
    # an objective of several terms has several; those of whole rows weigh no place
    weighed = [name for name in batch if name.endswith("weights") and batch[name].shape == kept.shape]
    batch.update({name: batch[name] * kept for name in weighed})
    ordinary = subject.ordinary
    other = np.where(sum(batch[name] for name in weighed) > 0, batch["targets"], ordinary[batch["targets"] % len(ordinary)])
    gradients = [_gradient(subject, {**batch, "targets": targets}) for targets in (batch["targets"], other)]
    moved = sum(int((a != b).sum()) for a, b in zip(*map(jax.tree.leaves, gradients), strict=True))
    yield Verdict.exact("a target of weight 0 has no gradient", moved, "numbers of the gradient move")
    padding = {name: np.stack([values] * 2) for name, values in subject.padding().items()} | {"row": np.full(2, -1, np.int32)}
    weighs = sum(bool(np.asarray(weight).any()) for weight in subject.objective.weights(padding).values())
    gradient = sum(int((leaf != 0).sum()) for leaf in jax.tree.leaves(_gradient(subject, padding)))
    yield Verdict.exact("rows of padding have no weight and no gradient", weighs + gradient, "numbers are not 0")


def _sums_and_weights(subject: Subject, batch: Any) -> tuple[Sums, Any]:
    return jax.device_get((subject.sums(subject.params, batch), subject.objective.weights(batch)))


def _gradient(subject: Subject, batch: Any) -> Any:
    return jax.device_get(subject.gradient(subject.params, batch))
