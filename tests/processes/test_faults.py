"""What goes wrong among several processes: who is named, and with which exit code each leaves."""

import signal
import socket
import time

import pytest
from several import ends

from jaxlm.core.errors import ConfigError, Lost

HOST = socket.gethostname()


@pytest.mark.parametrize("index", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_takes_the_others_along_with_76(place, index):
    run = f"killed-{index}"
    processes = place.train(run, 2, 2, "--train.steps", "4000")
    place.reach(run, 21, processes)  # the save of step 20 has waited for that of step 10
    processes[index].kill()
    begun = time.monotonic()
    code, said = ends([processes[1 - index]])[0]
    assert code == 76, said
    assert f"process {index} (" in said
    assert "was lost at '" in said  # where it was a second ago
    assert "The last checkpoint stands" in said
    assert time.monotonic() - begun < 60, "long before the patience of 60 s: the connection closed"
    assert (place.folder / run / "checkpoints" / "10").is_dir()


def test_a_frozen_process_is_left_within_the_patience(place):
    processes = place.train("frozen", 2, 2, "--train.steps", "4000", "--mesh.patience-seconds", "8")
    place.reach("frozen", 3, processes)
    processes[1].send_signal(signal.SIGSTOP)
    code, said = ends(processes[:1])[0]
    assert code == 76, said
    assert f"process 1 (on {HOST}) was lost at 'step " in said
    assert "no sign of life in 8 s" in said
    assert "they meet at 127.0.0.1" in said, "what it printed before it left stands in its log"


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (
            [[], ["--train.seed", "1"]],
            f"train.seed is not the same in all processes: process 0 (on {HOST}) has 0 and process 1 (on {HOST}) has 1.",
        ),
    ],
)
def test_another_config_is_refused_by_all_before_anything_is_written(place, each, words):
    found = ends(place.train("differs", 2, 1, each=each))
    assert [code for code, _ in found] == [2, 2], found
    assert all(words in said for _, said in found)
    assert not (place.folder / "differs").exists()


def test_several_processes_build_no_store(place):
    found = ends(place.train("unbuilt", 2, 1, "--data.validation-fraction", "0.07"))
    assert [code for code, _ in found] == [2, 2], "who is told by the other takes its code over: it comes again"
    assert any("of several processes none builds it" in said and "jaxlm data build RECIPE" in said for _, said in found)


@pytest.mark.slow
def test_a_disk_that_fails_under_one_process_ends_all_within_the_time_for_a_save(place):
    """The save never is complete, and nobody is told why."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)); import runpy; runpy.run_module('jaxlm', run_name='__main__')"
    words = [
        "train",
        "tiny.py",
        "--text",
        "text.txt",
        "--run-dir",
        "full",
        "--mesh.meeting-seconds",
        "30",
        "--log.progress",
        "False",
    ]
    places = place.together(2)
    processes = [place.start(["-m", "jaxlm", *words], 1, **places[0]), place.start(["-c", limited, *words], 1, **places[1])]
    found = ends(processes)
    assert [code for code, _ in found] == [76, 76], found
    assert all("waited 30 s at 'checkpoint save" in said and "to wait longer set mesh.meeting_seconds" in said for _, said in found)


@pytest.mark.parametrize(("tasks", "devices"), [("1(x2)", None), ("4", (2,))])
def test_slurm_gives_a_process_its_gpu_only_where_a_node_has_several(monkeypatch, tasks, devices):
    from jaxlm.parallel.start import find_place

    variables = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "n1",
        "SLURM_NTASKS": "4",
        "SLURM_PROCID": "2",
        "SLURM_LOCALID": "2",
        "SLURM_STEP_TASKS_PER_NODE": tasks,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = find_place()
    assert (found.index, found.count, found.local_devices) == (2, 4, devices)
    monkeypatch.setenv("JAX_NUM_PROCESSES", "1")
    assert find_place().count == 1


def test_who_never_comes_is_named(place):
    [first] = place.together(1, of=2)
    words = ["-m", "jaxlm", "train", "tiny.py", "--text", "text.txt", "--run-dir", "waits", "--mesh.meeting-seconds", "2"]
    [(code, said)] = ends([place.start(words, 1, **first)])
    assert code == 76
    assert "waited 2 s at 'the start' for process 1. Start them all, or set JAX_NUM_PROCESSES=1" in said
    assert not (place.folder / "waits").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"JAX_NUM_PROCESSES": "2"}, "JAX_COORDINATOR_ADDRESS is not set, and"),
        ({"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES=two must be a whole number, at least 1"),
        (
            {"JAX_COORDINATOR_ADDRESS": "here", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"},
            "JAX_COORDINATOR_ADDRESS=here is not HOST:PORT",
        ),
        (
            {"JAX_COORDINATOR_ADDRESS": "here:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"},
            "JAX_PROCESS_ID=2 must be from 0 to 1: JAX_NUM_PROCESSES=2",
        ),
    ],
)
def test_settings_that_cannot_be_are_one_message(monkeypatch, variables, words):
    from jaxlm.parallel.start import find_place

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        find_place()


@pytest.mark.parametrize(("error", "kind"), [(RuntimeError("no such host"), Lost), (ValueError("TPU_WORKER_ID=x"), ConfigError)])
def test_a_scheduler_that_does_not_know_process_0_yet_may_know_it_when_asked_again(monkeypatch, error, kind):
    """As a pod whose first host is on its way: 76, after which launchers begin again; what comes again is 2."""
    from jax._src.clusters import ClusterEnv

    from jaxlm.parallel.start import find_place

    def fail(*_):
        raise error

    monkeypatch.setattr(ClusterEnv, "auto_detect_unset_distributed_params", fail)
    with pytest.raises(kind, match=f"which process of a run this is cannot be found: {error}. Set JAX_COORDINATOR_ADDRESS, "):
        find_place()
