"""Sums over examples, the only thing a loss returns: they add up over any split of a batch."""

from typing import Any, NamedTuple

Array = Any


class Sums(NamedTuple):
    """Numerators of a loss, to be divided once by weights that are known from the batch alone.

    A mean per microbatch or per device is not the mean of the batch where weights are uneven, so nothing is divided
    here: `terms[name]` is sum(values * weights) over the examples, and `Objective.weights(batch)[name]` is its
    denominator. Sums are a pytree; two halves of a batch add up leaf by leaf.
    """

    terms: dict[str, Array]
    """Scalars; their names are those of `Objective.weights`."""
    aux: dict[str, Array]
    """Scalars summed over rows, as the model gives them (router losses); the step divides by the rows with a token."""
    weights: dict[str, Array]
    """Scalars: the weights that each term was summed with. They are to be those of `Objective.weights`; `jaxlm selftest`
    holds an objective to it."""
    metrics: dict[str, tuple[Array, Array]]
    """Pairs (sum of values * weights, sum of weights) of things that are only watched."""

    @classmethod
    def of(cls, *outs: Any, metrics: dict[str, tuple[Array, Array]] | None = None, **terms: tuple[Array, Array]) -> "Sums":
        """Multiplies and adds up, in float32.

        Args:
          *outs: the model's `Outputs` that the loss used; their `aux` is kept apart.
          metrics: name -> (values, weights), arrays of equal shape.
          **terms: name -> (values, weights), arrays of equal shape. A term's scale belongs into its values.
        """
        aux: dict[str, Array] = {}
        for out in outs:
            for name, rows_B in out.aux.items():
                aux[name] = aux.get(name, 0.0) + _float32(rows_B).sum()
        pairs = {name: _weighted(name, pair) for name, pair in terms.items()}
        return cls(
            terms={name: numerator for name, (numerator, _) in pairs.items()},
            aux=aux,
            weights={name: weight for name, (_, weight) in pairs.items()},
            metrics={name: _weighted(name, pair) for name, pair in (metrics or {}).items()},
        )


def _weighted(name: str, pair: tuple[Array, Array]) -> tuple[Array, Array]:
    values, weights = pair
    assert values.shape == weights.shape, f"term {name!r}: values {values.shape} and weights {weights.shape} differ in shape"
    values, weights = _float32(values), _float32(weights)
    return (values * weights).sum(), weights.sum()


def _float32(x: Array) -> Array:
    return x.astype("float32")
