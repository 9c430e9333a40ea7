"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; arXiv:2502.16982): momentum, orthogonalised."""

from dataclasses import dataclass
from typing import Any

import optax
from optax.contrib import MuonDimensionNumbers, muon

from jaxlm.core.errors import require_fraction
from jaxlm.optim.base import STACKED, Axes, Optimizer, map_axes

OUTWARD = frozenset({"heads", "kv_heads", "head_dim", "mlp"})


@dataclass(frozen=True)
class Muon(Optimizer):
    """Hidden matrices follow the orthogonal factor of their momentum; embeddings, output, biases and norms follow Adam.

    A leaf is a hidden matrix when its axes are one `embed` and others of heads and feed-forward; stacked layers are so
    many matrices. Both rates follow the one schedule. Hidden matrices alone decay; Adam is Optax's with Nesterov momentum.
    """

    adam_learning_rate: float = 3e-3
    """The peak of what follows Adam."""
    b1: float = 0.9
    """Of what follows Adam: share of the old that the mean of g keeps at each update."""
    b2: float = 0.95
    """Of what follows Adam: share of the old that the mean of g^2 keeps."""
    momentum: float = 0.95
    """Of hidden matrices: share of the old that the mean of g keeps."""
    epsilon: float = 1e-8
    """Added to the norm by which a matrix is divided before it is orthogonalised."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("optimizer", self, "b1", "b2", "momentum")

    def build(self, axes: Any) -> optax.GradientTransformation:
        clip = [] if self.clip_norm is None else [optax.clip_by_global_norm(self.clip_norm)]
        dimensions = map_axes(_dimensions, axes)
        return optax.chain(
            *clip,
            muon(
                self.rate,
                beta=self.momentum,
                eps=self.epsilon,
                weight_decay=self.weight_decay,
                adam_b1=self.b1,
                adam_b2=self.b2,
                adam_weight_decay=0.0,
                adam_learning_rate=lambda step: self.rate(step) * (self.adam_learning_rate / self.learning_rate),
                muon_weight_dimension_numbers=dimensions,
            ),
        )


def _dimensions(axes: Axes) -> MuonDimensionNumbers | None:
    """Which dims a hidden matrix reduces and puts out; None: it is none."""
    own = [name for name in axes if name not in STACKED]
    if own.count("embed") != 1 or len(own) < 2 or not set(own) - {"embed"} <= OUTWARD:
        return None
    embed = axes.index("embed")
    return MuonDimensionNumbers((embed,), tuple(i for i, name in enumerate(axes) if name in OUTWARD))
