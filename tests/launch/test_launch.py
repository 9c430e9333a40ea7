"""The scripts of launch/, in front of a stand-in for `jaxlm`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"

STAND_IN = """#!/bin/sh
echo "$@"
env | grep -E '^(JAX_[A-Z_]*|XLA_FLAGS|XLA_CLIENT_MEM_FRACTION)='
echo once >> started
exit $(sed -n "$(wc -l < started)p" codes)
"""

WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print("saved", flush=True), sys.exit(75)))
signal.signal(signal.SIGINT, lambda *_: (print("Ctrl-C", flush=True), sys.exit(75)))
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def script(tmp_path):
    """Runs a script where `jaxlm` ends with each of these codes in turn; returns (exit code, stdout, number of starts)."""

    def run(name: str, *args: str, codes=(0,), **environment: str) -> tuple[int, list[str], int]:
        stand_in = tmp_path / "jaxlm"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("JAX_", "XLA_", "TPU_"))}
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [LAUNCH / name, *args], cwd=tmp_path, env={**clean, "PATH": path, **environment}, capture_output=True, text=True
        )
        started = tmp_path / "started"
        return done.returncode, done.stdout.splitlines(), len(started.read_text().splitlines()) if started.exists() else 0

    return run


def test_all_gpus_in_one_process_and_no_silent_cpu(script):
    code, lines, _ = script("multi_gpu.sh", "nano/gpt2", "--text", "two words")
    assert code == 0
    assert lines[0] == "train nano/gpt2 --text two words"
    assert {"JAX_PLATFORMS=cuda", "XLA_CLIENT_MEM_FRACTION=0.92"} <= set(lines)


def test_what_the_environment_says_stays(script):
    _, lines, _ = script("multi_gpu.sh", "x", JAX_PLATFORMS="cpu", XLA_FLAGS="--mine=1", XLA_PYTHON_CLIENT_MEM_FRACTION="0.5")
    assert "JAX_PLATFORMS=cpu" in lines
    assert any(line.endswith(" --mine=1") for line in lines), "a user's flag comes last, so it wins"
    assert not any(line.startswith("XLA_CLIENT_MEM_FRACTION") for line in lines), "jax refuses both names at once"


def test_its_flag_is_one_that_this_xla_knows(script):
    _, lines, _ = script("multi_gpu.sh", "x")
    flags = next(line.partition("=")[2] for line in lines if line.startswith("XLA_FLAGS="))
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=environment, check=True)


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


@pytest.mark.parametrize("name", ["multi_gpu.sh", "tpu_vm.sh", "restart.sh", "local.sh", "slurm.sbatch"])
def test_without_a_recipe_it_says_its_usage(script, name):
    assert script(name) == (2, [], 0)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed: apt-get install shellcheck")
@pytest.mark.parametrize("path", [*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
