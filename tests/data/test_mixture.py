import numpy as np
import pytest

from jaxlm.core import ConfigError
from jaxlm.data.mixture import SLOTS, STAGES, Mixture


@pytest.mark.parametrize("weights", [(1,), (1, 1), (0.7, 0.3), (5, 0, 1), (1e-9, 1, 1), tuple(range(1, 40))])
def test_the_kth_row_of_a_source_is_its_kth(weights):
    mixture = Mixture([10] * len(weights), weights)
    source, k = mixture.locate(np.arange(3 * SLOTS + 100))
    for s in range(len(weights)):
        assert (k[source == s] == np.arange((source == s).sum())).all()
    assert (mixture.locate(np.array([5000, 17]))[1] == k[[5000, 17]]).all()


def test_shares_are_those_asked_for_and_evenly_spread():
    weights = (0.5, 0.3, 0.2)
    mixture = Mixture([10, 10, 10], weights)
    assert np.allclose(mixture.realised, (weights, weights), atol=1 / SLOTS)
    source, _ = mixture.locate(np.arange(SLOTS))
    for s, weight in enumerate(weights):
        seen = np.cumsum(source == s)
        assert np.abs(seen - weight * np.arange(1, SLOTS + 1)).max() < 2  # at each point of the pattern
        assert np.bincount(source)[s] / SLOTS == mixture.realised[0][s]


def test_small_weights_are_not_lost_and_none_are():
    mixture = Mixture([10, 10, 10], (1e-9, 1, 0))
    assert mixture.realised == ((1 / SLOTS, 1 - 1 / SLOTS, 0),) * 2


def test_without_weights_each_row_comes_once_an_epoch():
    mixture = Mixture([3, 0, 2])
    source, k = mixture.locate(np.arange(10))
    assert list(zip(source.tolist(), k.tolist(), strict=True)) == [
        *[(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)],
        *[(0, 3), (0, 4), (0, 5), (2, 2), (2, 3)],
    ]
    assert mixture.realised == ((0.6, 0, 0.4),) * 2


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((1, 2, 3), r"data.weights=\(1, 2, 3\) has 3 numbers for 2 sources"),
        ((1, -1), "at least 0, finite, and not all 0"),
        ((0, 0), "at least 0, finite, and not all 0"),
        ((float("nan"), 1), "at least 0, finite, and not all 0"),
        ((float("inf"), 1), "at least 0, finite, and not all 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights, words):
    with pytest.raises(ConfigError, match=words):
        Mixture([4, 4], weights)


def test_an_empty_source_cannot_have_weight():
    with pytest.raises(ConfigError, match="source 1 has no row to give; set its weight to 0"):
        Mixture([4, 0], (1, 1))


@pytest.mark.parametrize("num_rows", [1, 40, 5000, 2_000_000])
def test_shares_that_change_keep_each_source_in_order_and_end_where_they_should(num_rows):
    mixture = Mixture([10, 10, 10], (3, 7, 0), (1, 0, 1), num_rows)
    source, k = mixture.locate(np.arange(num_rows + 3 * SLOTS))
    for s in range(3):
        assert (k[source == s] == np.arange((source == s).sum())).all()
    if num_rows == 40:  # five patterns of eight
        assert [np.bincount(source[i : i + 8], minlength=3).tolist() for i in (0, 32)] == [[2, 5, 1], [4, 1, 3]]
    if num_rows > STAGES**2:
        shares = lambda part: np.bincount(part, minlength=3) / len(part)
        tenth = num_rows // 10
        np.testing.assert_allclose(shares(source[:tenth]), (0.3 + 0.2 * 0.05, 0.7 * 0.95, 0.5 * 0.05), atol=0.02)
        np.testing.assert_allclose(shares(source[9 * tenth : num_rows]), (0.49, 0.7 * 0.05, 0.475), atol=0.02)
        np.testing.assert_allclose(shares(source[num_rows:]), (0.5, 0, 0.5), atol=0.02)


def test_final_weights_need_first_ones():
    with pytest.raises(ConfigError, match=r"data.final_weights=\(1, 1\): there is nothing to change from; give data.weights too"):
        Mixture([4, 4], (), (1, 1), 100)
    with pytest.raises(ConfigError, match=r"data.final_weights=\(1,\) has 1 numbers for 2 sources"):
        Mixture([4, 4], (1, 1), (1,), 100)
