"""Shapes that a learning rate takes after its warm-up, as factors of the peak."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp


class Schedule:
    """A factor of the peak rate. Extend it with a frozen dataclass."""

    def factor(self, step: Any, warmup_steps: int, steps: int) -> Any:
        """For update `step` (the first is 0), counted from the beginning, in a run of `steps`; meant after the warm-up."""
        raise NotImplementedError(f"{type(self).__name__} must define factor()")


def _progress(step: Any, begin: float, end: float) -> Any:
    return jnp.clip((step - begin) / max(end - begin, 1), 0.0, 1.0)


@dataclass(frozen=True)
class Constant(Schedule):
    """The peak, to the end."""

    def factor(self, step: Any, warmup_steps: int, steps: int) -> Any:
        return jnp.ones_like(step, jnp.float32)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the peak to `final` of it (arXiv:1608.03983)."""

    final: float = 0.1
    """Share of the peak at the end."""

    def factor(self, step: Any, warmup_steps: int, steps: int) -> Any:
        return self.final + (1 - self.final) * 0.5 * (1 + jnp.cos(jnp.pi * _progress(step, warmup_steps, steps)))


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from the peak to `final` of it (BERT)."""

    final: float = 0.0
    """Share of the peak at the end."""

    def factor(self, step: Any, warmup_steps: int, steps: int) -> Any:
        return 1 - (1 - self.final) * _progress(step, warmup_steps, steps)


@dataclass(frozen=True)
class WSD(Schedule):
    """Warm-up, stable, decay: the peak, then a straight line to `final` over the last `decay` of the steps (arXiv:2404.06395)."""

    decay: float = 0.2
    """Share of all steps, at their end, over which the rate falls."""
    final: float = 0.0
    """Share of the peak at the end."""

    def factor(self, step: Any, warmup_steps: int, steps: int) -> Any:
        return 1 - (1 - self.final) * _progress(step, max(steps * (1 - self.decay), warmup_steps), steps)


@dataclass(frozen=True)
class RSqrt(Schedule):
    """The peak times sqrt(warm-up / step) (arXiv:1706.03762, equation 3)."""

    def factor(self, step: Any, warmup_steps: int, steps: int) -> Any:
        begin = max(warmup_steps, 1)
        return jnp.sqrt(begin / jnp.maximum(step + 1.0, begin))
