"""The `checkpoint` group."""

from dataclasses import dataclass

from jaxlm.core.errors import require_at_least


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

    def __post_init__(self) -> None:
        require_at_least(1, "checkpoint", self, "every", "keep", "keep_every")
        require_at_least(0, "checkpoint", self, "every_seconds", "keep_best")
