"""The `train` and `log` groups."""

from dataclasses import dataclass

from jaxlm.core import ConfigError
from jaxlm.core.errors import require_above, require_at_least, require_seed


@dataclass(frozen=True)
class TrainConfig:
    """How long, in which portions, from which seed."""

    steps: int = 1000
    """Updates of the parameters."""
    minutes: float | None = None
    """At most so long: a new run measures its pace at its start, takes fewer `steps` where they would last longer, and keeps
    that number; None: all `steps`, however long they last."""
    batch_size: int = 16
    """Rows of one update, over all devices and microbatches."""
    num_microbatches: int = 1
    """Parts in which a batch's gradient is computed, to save memory; the update is the same."""
    seed: int = 0
    """Decides initial parameters, order of the data and all noise."""
    eval_every: int | None = None
    """Steps between evaluations on the held-out text; None: only after the last step."""
    eval_batches: int | None = None
    """Batches of one evaluation; None: all of the held-out text."""

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise ConfigError(f"train.minutes={self.minutes} must be above 0, or None")
        require_seed("train.seed", self.seed)
        require_at_least(1, "train", self, "steps", "batch_size", "num_microbatches", "eval_every", "eval_batches")


@dataclass(frozen=True)
class LogConfig:
    """What is written down while it runs."""

    every: int = 10
    """Steps between lines of metrics.jsonl; the last step has one too."""
    upload_seconds: float = 60.0
    """Seconds between uploads of the metrics where the run folder is in an object store; each checkpoint comes after one too."""
    tensorboard: bool = True
    """Write TensorBoard event files beside metrics.jsonl."""
    progress: bool = True
    """Show a progress bar on a terminal, plain lines elsewhere."""
    compressors: bool = False
    """At the end, set the bits per byte beside what gzip and xz need for the same text."""
    samples: int = 0
    """Texts, or sentences with a word to guess, shown at the end."""

    def __post_init__(self) -> None:
        require_at_least(1, "log", self, "every")
        require_above(0, "log", self, "upload_seconds")
        require_at_least(0, "log", self, "samples")
