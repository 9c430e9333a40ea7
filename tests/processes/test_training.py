"""Training in several processes: the same numbers, stops that all agree on, and resume by any other number."""

import signal

import pytest
from several import ends

LOSS = 1e-5
"""Relative; float32, a learning rate of 1e-3."""


@pytest.fixture(scope="module")
def alone(place):
    [(code, said)] = ends(place.train("alone", 1, 8))
    assert code == 0, said
    return place.losses("alone")


@pytest.mark.parametrize(
    ("count", "devices", "mesh"),
    [
        (2, 4, ["--mesh.data", "2", "--mesh.fsdp", "2", "--mesh.tensor", "2"]),
        pytest.param(4, 2, ["--mesh.data", "1", "--mesh.fsdp", "-1"], marks=pytest.mark.slow),
        pytest.param(4, 2, ["--mesh.data", "1", "--mesh.tensor", "4", "--mesh.dcn-data", "2"], marks=pytest.mark.slow),
        pytest.param(2, 1, [], marks=pytest.mark.slow),
    ],
)
def test_losses_are_those_of_one_process(place, alone, count, devices, mesh):
    """A tensor axis over processes too, whose rows each reads."""
    run = f"run-{count}-{devices}-{len(mesh)}"
    for code, said in ends(place.train(run, count, devices, *mesh)):
        assert code == 0, said
    assert place.losses(run) == pytest.approx(alone, rel=LOSS)
    assert place.summary(run)["step"] == 30


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_sigterm_at_one_stops_all_after_one_step_and_one_process_goes_on(place, alone, count):
    """Several of two devices, fsdp; then one process of three devices."""
    run = f"stopped-{count}"
    processes = place.train(run, count, 2, "--mesh.data", "1", "--mesh.fsdp", "-1", "--train.steps", "30")
    place.reach(run, 3, processes)
    processes[-1].send_signal(signal.SIGTERM)
    found = ends(processes)
    assert [code for code, _ in found] == [75] * count, found
    steps = {said.split("after step ")[1].split(";")[0] for _, said in found}
    assert len(steps) == 1, "all stop after the same step"
    assert all("stopped by SIGTERM or Ctrl-C at one of the processes" in said for _, said in found)
    [(code, said)] = ends(place.train(run, 1, 3, "--mesh.data", "-1"))
    assert code == 0, said
    assert place.summary(run)["train/resumed_from"] == int(steps.pop()) > 0
    assert place.losses(run) == pytest.approx(alone, rel=LOSS)
