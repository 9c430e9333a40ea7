"""Slow: `launch/slurm.sbatch` on a real Slurm of two nodes, both on this host: trains, is cancelled, goes on."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from several import ROOT, free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIG = """
ClusterName=jaxlm
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=60
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment in which Slurm's commands find the cluster."""
    missing = [name for name in DAEMONS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing or DAEMONS)}: apt-get install slurm-wlm munge")
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    first, controller = free_port(), free_port()
    host = socket.gethostname().split(".")[0]
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, host=host, first=first, second=first + 1, controller=controller))
    munge = [f"--{name}-file={folder / name}" for name in ("pid", "log", "seed")]
    daemons = [
        ["/usr/sbin/munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket", *munge],
        ["/usr/sbin/slurmctld", "-D", "-f", str(config)],
        *(["/usr/sbin/slurmd", "-D", "-N", name, "-f", str(config)] for name in ("n1", "n2")),
    ]
    started = []
    for words in daemons:
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(1)
    yield {"SLURM_CONF": str(config)}
    for process in reversed(started):
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ask(words: list[str], environment: dict[str, str], folder: Path) -> str:
    return subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_a_job_trains_is_cancelled_and_goes_on(place, slurm):
    scripts = Path(shutil.copytree(ROOT / "launch", place.folder / "launch"))
    binary = place.folder / "bin" / "jaxlm"
    binary.parent.mkdir()
    binary.write_text('#!/bin/sh\nexec python -m jaxlm "$@"\n')
    binary.chmod(0o755)
    path = f"{binary.parent}:{os.environ['PATH']}"
    environment = place.environment(2, **slurm, PATH=path)
    job = ["sbatch", "--parsable", str(scripts / "slurm.sbatch"), "tiny.py", "--text", "text.txt"]
    job += ["--run-dir", "runs/slurm", "--train.steps", "200", "--checkpoint.every", "50"]

    def submitted() -> str:
        return ask(job, environment, place.folder)

    def said(number: str) -> str:
        log = place.folder / f"slurm-{number}.out"
        return log.read_text() if log.exists() else ""

    def until(true, number: str) -> None:
        begun = time.monotonic()
        while not true():
            assert time.monotonic() - begun < 240, said(number)
            time.sleep(0.5)

    def over(number: str) -> bool:
        return ask(["squeue", "--noheader", f"--jobs={number}", "--states=all", "--format=%T"], environment, place.folder) not in (
            "PENDING",
            "RUNNING",
            "COMPLETING",
            "CONFIGURING",
        )

    lines = place.folder / "runs" / "slurm" / "metrics.jsonl"
    first = submitted()
    until(lambda: lines.exists() and '"step": 5,' in lines.read_text(), first)
    ask(["scancel", first], environment, place.folder)
    until(lambda: over(first), first)
    assert "processes ended with 75 75" in said(first)
    second = submitted()
    until(lambda: over(second), second)
    assert "going on after step" in said(second)
    assert "processes ended with 0 0" in said(second)
    assert place.summary("runs/slurm")["train/resumed_from"] > 0
    assert place.summary("runs/slurm")["step"] == 200
