import numpy as np
import pytest

from jaxlm.data.shuffle import permute


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 31, 64, 65, 99, 100, 101, 1000, 4095, 4097, 65537])
@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_every_index_comes_once(n, seed):
    for epoch in (0, 5):
        assert (np.sort(permute(np.arange(n), n, seed, 0, epoch)) == np.arange(n)).all()


def test_elements_are_computed_alone():
    whole = permute(np.arange(1000), 1000, 3, 1, 2)
    assert [int(permute(np.array([i]), 1000, 3, 1, 2)[0]) for i in (0, 7, 999)] == whole[[0, 7, 999]].tolist()


def test_what_was_shuffled_once_stays_so_for_ever():
    """Runs resume by it: these numbers may only change with the format of everything that was ever trained."""
    assert permute(np.arange(10), 10, 0, 0, 0).tolist() == [7, 9, 8, 4, 1, 5, 6, 2, 0, 3]
    assert permute(np.array([0, 1, 2]), 10**12, 1, 2, 3).tolist() == [385050153056, 490146386562, 197401421734]


@pytest.mark.parametrize("other", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -1, 0)])
def test_each_part_of_the_key_counts(other):
    same = (permute(np.arange(1000), 1000, 0, 0, 0) == permute(np.arange(1000), 1000, *other)).sum()
    assert same < 10  # 1 is expected of two random orders


def test_seed_and_epoch_are_not_added():
    assert (permute(np.arange(100), 100, 0, 0, 1) != permute(np.arange(100), 100, 1, 0, 0)).any()


@pytest.mark.parametrize("n", [3, 7, 100, 1000])
def test_each_place_is_as_likely(n):
    """Chi-square of where index 0 and the last go, over 4,000 keys."""
    for index in (0, n - 1):
        cells = min(n, 10)
        places = [int(permute(np.array([index]), n, seed, 0, 0)[0]) * cells // n for seed in range(4000)]
        sizes = np.bincount(np.arange(n) * cells // n) / n * 4000
        chi = ((np.bincount(places, minlength=cells) - sizes) ** 2 / sizes).sum()
        assert chi < 28  # 9 degrees of freedom: one time in a thousand


def test_neighbours_part():
    """Distances between neighbours are those of random places: mean n / 3; and orders do not run up or down."""
    n = 100_000
    order = permute(np.arange(n), n, 0, 0, 0)
    assert abs(np.abs(np.diff(order)).mean() / n - 1 / 3) < 0.005
    assert abs((np.diff(order) > 0).mean() - 0.5) < 0.01
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 0.015
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.015
