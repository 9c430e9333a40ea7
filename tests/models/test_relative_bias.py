"""Buckets of distances against T5's own formula, in numpy's floats, and numbers worked out by hand."""

import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.models.layers import RelativeBias
from jaxlm.models.layers.relative_bias import buckets

BOTH_WAYS = {0: 0, -1: 1, 1: 17, -7: 7, -8: 8, 8: 24, -11: 8, -12: 9, -16: 10, -22: 10, -23: 11, -32: 12, -64: 14, -90: 14, -91: 15}
BEYOND = {-127: 15, -128: 15, -5000: 15, 127: 31, 5000: 31}
CAUSAL = {0: 0, 5: 0, -1: 1, -15: 15, -16: 16, -18: 16, -19: 17, -20: 17, -21: 18, -64: 26, -112: 30, -113: 31, -128: 31, -9999: 31}


@pytest.mark.parametrize(("causal", "known"), [(False, BOTH_WAYS | BEYOND), (True, CAUSAL)], ids=["both ways", "causal"])
def test_buckets_of_32_to_128(causal, known):
    found = buckets(np.array(list(known)), num_buckets=32, max_distance=128, causal=causal)
    assert dict(zip(known, found.tolist(), strict=True)) == known


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (16, 20), (64, 1000)])
def test_buckets_are_those_of_the_logarithm(num_buckets, max_distance, causal):
    ahead = np.arange(-1200, 1200)
    n = num_buckets if causal else num_buckets // 2
    distance = np.maximum(-ahead, 0) if causal else np.abs(ahead)
    near = n // 2
    steps = np.log(np.maximum(distance, near) / near) / np.log(max_distance / near) * (n - near)
    far = np.minimum(near + np.floor(steps + 1e-9), n - 1)
    expected = np.where(distance < near, distance, far) + (0 if causal else n * (ahead > 0))
    np.testing.assert_array_equal(buckets(ahead, num_buckets=num_buckets, max_distance=max_distance, causal=causal), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": 0}, "model.relative_bias.num_heads=0 must be at least 1"),
        ({"num_buckets": 2}, "model.relative_bias.num_buckets=2 must be at least 4"),
        ({"num_buckets": 30}, "model.relative_bias.num_buckets=30 must be a multiple of 4: two directions, near and far"),
        (
            {"max_distance": 16},
            "model.relative_bias.max_distance=16 must be above 16, half of num_buckets: nearer distances have buckets of their own",
        ),
    ],
)
def test_settings_out_of_bounds(settings, message):
    with pytest.raises(ConfigError) as error:
        RelativeBias(**{"num_heads": 4, **settings}).check("model.relative_bias")
    assert str(error.value) == message
