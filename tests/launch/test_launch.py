"""The scripts of launch/, in front of a stand-in for `jaxlm`."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"

WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print("saved", flush=True), sys.exit(75)))
signal.signal(signal.SIGINT, lambda *_: (print("Ctrl-C", flush=True), sys.exit(75)))
print("started", flush=True)
time.sleep(60)
"""


def test_each_process_of_this_machine_is_told_which_it_is(script):
    code, lines, _ = script("local.sh", "2", "nano/gpt2", "--run-dir", "a b", codes=(0, 0, 0), DEVICES_PER_PROCESS="3")
    assert code == 0
    assert lines[0] == "train nano/gpt2 --run-dir a b", "of process 0 alone; the others' lines go to stderr, with their number"
    assert "JAX_NUM_PROCESSES=2" in lines
    assert "JAX_PROCESS_ID=0" in lines
    assert any(line.startswith("JAX_COORDINATOR_ADDRESS=127.0.0.1:") for line in lines)
    assert any("--xla_force_host_platform_device_count=3" in line for line in lines)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 0), 0), ((0, 2), 2), ((76, 1), 1), ((2, 76), 2), ((75, 75), 75), ((76, 75), 75), ((137, 76), 76), ((0, 76), 76)],
)
def test_the_exit_code_of_several_processes(script, codes, expected):
    assert script("exit_code.sh", *map(str, codes))[0] == expected


def test_a_store_that_cannot_be_built_ends_it_before_any_process(script):
    assert script("local.sh", "2", "nano/gpt2", codes=(2,)) == (2, [], 1)


@pytest.mark.parametrize(
    ("codes", "expected"), [((75, 76, 0), (0, 3)), ((75, 1), (1, 2)), ((76, 2), (2, 2)), ((2,), (2, 1)), ((0,), (0, 1))]
)
def test_it_starts_again_after_75_and_76_alone(script, codes, expected):
    code, _, starts = script("multi_gpu.sh", "x", codes=codes)
    assert (code, starts) == expected


def test_it_says_with_what_it_ended(script):
    script("restart.sh", "jaxlm", codes=(75, 2))
    assert script.said.splitlines()[1:] == ["launch/restart.sh: ended with exit code 2"]


@pytest.mark.parametrize(("number", "said"), [(signal.SIGTERM, "saved"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_is_passed_on_and_ends_the_restarts(number, said):
    process = subprocess.Popen(
        [LAUNCH / "restart.sh", sys.executable, "-c", WAITS],
        stdout=subprocess.PIPE,
        text=True,
        # a shell cannot trap what its parent ignores, as one does that runs the tests in the background
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert (rest, process.returncode) == (f"{said}\n", 75)


def test_a_run_that_others_stop_is_not_begun_again_once_it_was_told(tmp_path):
    """SIGUSR1 leaves the command alone: here it ends with 75 a while later, by itself."""
    command = "echo started; while [ ! -e go ]; do sleep 0.05; done; exit 75"
    words = [LAUNCH / "restart.sh", "bash", "-c", command]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    assert process.poll() is None
    (tmp_path / "go").touch()
    rest, _ = process.communicate(timeout=20)
    assert (rest, process.returncode) == ("", 75)


@pytest.mark.parametrize("name", ["multi_gpu.sh", "tpu_vm.sh", "tpu_pod.sh", "restart.sh", "local.sh", "slurm.sbatch"])
def test_without_a_recipe_it_says_its_usage(script, name):
    assert script(name) == (2, [], 0)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed: apt-get install shellcheck")
@pytest.mark.parametrize("path", [*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
