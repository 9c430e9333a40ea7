"""What an optimizer is to the trainer, and what all of ours share."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_at_least
from jaxlm.optim.schedules import Cosine, Schedule

Axes = tuple[str, ...]
STACKED = ("layers", "experts")
"""Axes that count matrices and are no dims of them."""


@dataclass(frozen=True)
class Optimizer:
    """An update rule with its schedule. Extend it with a frozen dataclass; its fields are its settings."""

    learning_rate: float = 1e-3
    """The peak."""
    warmup_steps: int = 0
    """Updates over which the rate rises in a straight line to the peak."""
    schedule: Schedule = Cosine()
    """How the rate goes on from there."""
    steps: int | None = None
    """Length of the schedule; None: `train.steps`, stored with the run so that more steps do not bend what was done."""
    weight_decay: float = 0.1
    """Times the rate, of matrices alone (embeddings among them): never of biases or norms."""
    clip_norm: float | None = 1.0
    """Gradients of a larger global norm are scaled down to it; None: never."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ConfigError(f"optimizer.learning_rate={self.learning_rate} must be above 0")
        require_at_least(0, "optimizer", self, "warmup_steps")

    def rate(self, step: Any) -> Any:
        """The learning rate of update `step` (the first is 0); float32."""
        assert self.steps is not None, "the schedule's length is filled in from train.steps before the optimizer is built"
        step = jnp.asarray(step, jnp.float32)
        warmup = jnp.minimum((step + 1) / max(self.warmup_steps, 1), 1.0)
        after = self.schedule.factor(step, self.warmup_steps, self.steps)
        return self.learning_rate * jnp.where(step < self.warmup_steps, warmup, after)

    def build(self, axes: Any) -> Any:
        """The `optax.GradientTransformation`; `axes` is the tree of logical axis names, a tuple a leaf."""
        raise NotImplementedError(f"{type(self).__name__} must define build()")


def is_matrix(axes: Axes) -> bool:
    """Whether a leaf of these axes is a matrix: `embed` and one dim more. A stacked bias or norm scale is none."""
    own = [name for name in axes if name not in STACKED]
    return "embed" in own and len(own) > 1


def map_axes(function: Any, axes: Any) -> Any:
    """`function` of each leaf's tuple of names."""
    return jax.tree.map(function, axes, is_leaf=lambda x: isinstance(x, tuple))
