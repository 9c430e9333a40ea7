"""Which devices a collective joins, in each of the ways in which XLA writes them."""

import numpy as np
import pytest

from jaxlm.plan.groups import GROUPS, device_groups, mesh_axes

SIZES = {"data": 2, "fsdp": 2, "tensor": 2}


@pytest.mark.parametrize(
    ("text", "groups", "axes"),
    [
        ("replica_groups={{0,2},{4,6},{1,3},{5,7}}, dimensions={2}", [[0, 2], [4, 6], [1, 3], [5, 7]], ("fsdp",)),
        ("replica_groups=[4,2]<=[8], use_global", [[0, 1], [2, 3], [4, 5], [6, 7]], ("tensor",)),
        ("replica_groups=[4,2]<=[4,2]T(1,0), dim", [[0, 2], [4, 6], [1, 3], [5, 7]], ("fsdp",)),
        ("replica_groups=[4,2]<=[2,2,2]T(2,1,0), dim", [[0, 4], [2, 6], [1, 5], [3, 7]], ("data",)),
        ("replica_groups=[2,4]<=[4,2]T(1,0), dim", [[0, 2, 4, 6], [1, 3, 5, 7]], ("data", "fsdp")),
        ("replica_groups=[1,8]<=[8], dim", [list(range(8))], ("data", "fsdp", "tensor")),
        ("replica_groups={}, dim", [list(range(8))], ("data", "fsdp", "tensor")),
        ("replica_groups=mesh['a'=4,'b'=1,'c'=2] {'c'}, use", [[0, 1], [2, 3], [4, 5], [6, 7]], ("tensor",)),
        ("replica_groups=mesh['a'=4,'b'=1,'c'=2] {'a','b'}, use", [[0, 2, 4, 6], [1, 3, 5, 7]], ("data", "fsdp")),
        ("replica_groups=mesh['a'=2,'b'=4], device_ids=([2,2,2]T(1,0,2)) {'a'}, dim", [[0, 2], [1, 3], [4, 6], [5, 7]], ("fsdp",)),
        ("replica_groups=mesh['a'=8] {'a':(2)2}, dim", [[0, 2], [1, 3], [4, 6], [5, 7]], ("fsdp",)),
        ("source_target_pairs={{0,1},{1,0},{2,3},{3,2}}, meta", [[0, 1], [1, 0], [2, 3], [3, 2]], ("tensor",)),
    ],
)
def test_each_spelling(text, groups, axes):
    found = GROUPS.search(text)
    assert found
    devices = device_groups(found["groups"], 8)
    assert sorted(map(sorted, devices.tolist())) == sorted(map(sorted, groups))
    assert mesh_axes(devices, SIZES) == axes


def test_an_axis_of_one_device_is_never_named():
    assert mesh_axes(np.array([[0, 1, 2, 3]]), {"dcn_data": 1, "data": 1, "fsdp": 4}) == ("fsdp",)
