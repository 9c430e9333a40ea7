"""The `checkpoint` group."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckpointConfig:
    """When the state is saved and what is kept."""

    every: int | None = 1000
    """Steps between saves; None: none by steps. The last step is always saved."""
    every_seconds: float | None = None
    """Seconds between saves; None: none by time."""
    keep: int = 2
    """Newest checkpoints that are kept."""
    keep_best: int = 0
    """Checkpoints of lowest eval/loss that are kept besides."""
    keep_every: int | None = None
    """Steps whose multiples are kept for good."""
