"""Batches and masks, to the bit, by any number of processes and devices."""

import json
from pathlib import Path

import pytest
from several import ends

SCRIPT = str(Path(__file__).with_name("print_rows.py"))


def rows(place, count: int, devices: int, *flags: str) -> list[dict[str, str]]:
    """What each process read."""
    places = place.together(count) if count > 1 else [{}]
    found = ends([place.start([SCRIPT, *flags], devices, **each) for each in places])
    assert all(code == 0 for code, _ in found), found
    return [json.loads(next(line for line in said.splitlines() if line.startswith("{"))) for _, said in found]


@pytest.mark.parametrize("objective", [[], pytest.param(["--masked"], marks=pytest.mark.slow)], ids=["causal", "masked"])
def test_each_row_is_read_as_one_process_reads_it_and_by_whose_devices_hold_it(place, objective):
    [alone] = rows(place, 1, 1, *objective)
    assert len(alone) == 3 * 16
    for count, devices in [(2, 1), (4, 2)]:
        found = rows(place, count, devices, *objective)
        assert {key: digest for each in found for key, digest in each.items()} == alone
        assert [len(each) for each in found] == [len(alone) // count] * count, "none reads another's"
    tensor = rows(place, 2, 2, "--mesh.data", "1", "--mesh.tensor", "4", *objective)
    assert tensor == [alone, alone], "a tensor axis over both: each holds parts of all rows"
