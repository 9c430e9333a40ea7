"""AdamW (arXiv:1711.05101)."""

from dataclasses import dataclass
from typing import Any

import optax

from jaxlm.core.errors import require_fraction
from jaxlm.optim.base import Optimizer, is_matrix, map_axes


@dataclass(frozen=True)
class AdamW(Optimizer):
    """m and v are running means of g and g^2; theta -= rate * (m' / (sqrt(v') + epsilon) + weight_decay * theta).

    Departs from the paper in that decay is times the rate, as Optax and PyTorch have it.
    """

    b1: float = 0.9
    """Share of the old that the mean of g keeps at each update."""
    b2: float = 0.95
    """Share of the old that the mean of g^2 keeps."""
    epsilon: float = 1e-8
    """Added to the root of the mean of g^2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("optimizer", self, "b1", "b2")

    def build(self, axes: Any) -> optax.GradientTransformation:
        clip = [] if self.clip_norm is None else [optax.clip_by_global_norm(self.clip_norm)]
        return optax.chain(
            *clip,
            optax.adamw(self.rate, self.b1, self.b2, self.epsilon, weight_decay=self.weight_decay, mask=map_axes(is_matrix, axes)),
        )
