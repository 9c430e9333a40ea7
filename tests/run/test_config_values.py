"""Settings that can never be right are refused where they are made."""

import pytest

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import ConfigError
from jaxlm.data.config import DataConfig
from jaxlm.train.config import LogConfig, TrainConfig


@pytest.mark.parametrize(
    ("make", "name", "least"),
    [
        *((TrainConfig, name, 1) for name in ("steps", "batch_size", "num_microbatches", "eval_every", "eval_batches")),
        (LogConfig, "every", 1),
        (LogConfig, "samples", 0),
        *((CheckpointConfig, name, 1) for name in ("every", "keep", "keep_every")),
        *((CheckpointConfig, name, 0) for name in ("every_seconds", "keep_best")),
        (DataConfig, "seq_len", 1),
        (DataConfig, "num_workers", 0),
    ],
)
def test_too_small_a_number_is_named(make, name, least):
    needed = {"sources": ()} if make is DataConfig else {}
    group = make.__name__.removesuffix("Config").lower()
    make(**needed, **{name: least})
    with pytest.raises(ConfigError) as error:
        make(**needed, **{name: least - 1})
    assert str(error.value) == f"{group}.{name}={least - 1} must be at least {least}"


def test_none_stands_for_never():
    assert CheckpointConfig(every=None, every_seconds=None).every is None
    assert TrainConfig(eval_every=None).eval_every is None
