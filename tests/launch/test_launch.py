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


def test_a_dry_run_is_not_for_several(script):
    assert script("local.sh", "2", "nano/gpt2", "--dry-run", "--devices", "8") == (2, [], 0)
    assert "one process does it: jaxlm train RECIPE --dry-run" in script.said


def test_five_quick_losses_in_a_row_are_no_accident(script):
    assert script("restart.sh", "jaxlm", codes=(76,) * 4 + (75,) + (76,) * 9)[::2] == (76, 10)
    assert "five times in a row another process was lost" in script.said


def test_losses_long_after_the_start_are_none_in_a_row(script, tmp_path):
    short = tmp_path / "restart.sh"
    short.write_text((LAUNCH / "restart.sh").read_text().replace("-lt 600", "-lt 0"))
    short.chmod(0o755)
    assert script(short, "jaxlm", codes=(76,) * 7 + (0,))[::2] == (0, 8)


ON_SLURM = {
    "srun": '#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nSLURM_PROCID=0 "$@"\n',
    "scontrol": '#!/bin/sh\n[ "$1" = requeue ] && echo "$2" >> requeued\necho n1 NodeAddr=127.0.0.1\n',
}


@pytest.mark.parametrize(("codes", "requeued"), [((76,) * 5, 4), ((76, 76, 75, 76, 76, 76), 6), ((75, 2), 1), ((0,), 0)])
def test_slurm_queues_again_after_losses_but_not_after_five_in_a_row(script, tmp_path, codes, requeued):
    for name, text in ON_SLURM.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "JAXLM_LAUNCH": str(LAUNCH), "SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"}
    each = [code for train in codes for code in (0, train)]  # the store is built first, each time
    ends = [script("slurm.sbatch", "x", codes=each, SLURM_JOB_NODELIST="n1", **slurm)[0] for _ in codes]
    assert ends == list(codes)
    found = tmp_path / "requeued"
    assert (found.read_text().splitlines() if found.exists() else []) == ["7"] * requeued


def two_processes(folder, jaxlm, launch=LAUNCH) -> subprocess.Popen:
    """`local.sh` in front of a `jaxlm` that does so."""
    stand_in = folder / "jaxlm"
    stand_in.write_text(f"#!/bin/sh\n{jaxlm}")
    stand_in.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen([launch / "local.sh", "2", "x"], cwd=folder, env={**os.environ, "PATH": path})


def test_a_signal_before_the_processes_have_met_reaches_all_of_them(tmp_path):
    process = two_processes(tmp_path, '[ "$1" = train ] || exit 0\necho "$JAX_PROCESS_ID" >> started\nexec sleep 60\n')
    while not (tmp_path / "started").exists() or len((tmp_path / "started").read_text()) < 4:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 76, "both were ended by the signal, with nothing saved"


@pytest.mark.parametrize("code", [2, 76])
def test_who_is_left_when_another_has_failed_is_ended(tmp_path, code):
    """It waits for one that never met it, or is frozen."""
    launch = shutil.copytree(LAUNCH, tmp_path / "launch")
    (launch / "local.sh").write_text((LAUNCH / "local.sh").read_text().replace("-ge 15", "-ge 1"))
    waits = f'[ "$1" = train ] || exit 0\n[ $JAX_PROCESS_ID = 1 ] && exit {code}\nexec sleep 60\n'
    process = two_processes(tmp_path, waits, launch)
    assert process.wait(timeout=20) == code


@pytest.mark.parametrize("devices", ["0", "x", "-1", "1.5"])
def test_devices_of_each_process_are_a_number_before_anything_is_built(script, devices):
    assert script("local.sh", "2", "nano/gpt2", DEVICES_PER_PROCESS=devices) == (2, [], 0)
    assert f"DEVICES_PER_PROCESS={devices} must be a whole number, at least 1" in script.said


def test_a_signal_while_the_store_is_built_ends_it_and_begins_nothing(tmp_path):
    process = two_processes(tmp_path, 'echo "$1" >> started\nexec sleep 60\n')
    while not (tmp_path / "started").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143
    assert (tmp_path / "started").read_text() == "data\n"


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
@pytest.mark.parametrize("words", [(), ("--help",)])
def test_without_a_recipe_it_says_its_usage(script, name, words):
    assert script(name, *words) == (2, [], 0)
    assert "usage: " in script.said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed: apt-get install shellcheck")
@pytest.mark.parametrize("path", [*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
