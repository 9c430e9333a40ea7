"""What an optimizer is to the trainer."""

from typing import Any


class Optimizer:
    """An update rule with its schedule. Extend it with a frozen dataclass; its fields are its settings."""

    steps: int | None = None
    """Length of the schedule; None: `train.steps`, and stored so that more steps do not bend what was done."""

    def rate(self, step: Any) -> Any:
        """The learning rate of update `step` (the first is 0); a Python number or a traced one."""
        raise NotImplementedError(f"{type(self).__name__} must define rate()")

    def build(self, axes: Any) -> Any:
        """The `optax.GradientTransformation`; `axes` is the tree of logical axis names, a tuple a leaf."""
        raise NotImplementedError(f"{type(self).__name__} must define build()")
