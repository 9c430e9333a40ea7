#!/usr/bin/env python3
"""A stand-in for `gcloud`: records its calls, and runs what is for the hosts of a slice in a folder for each.

In $CLOUD: calls (one in JSON a line), states (what a request comes to, a line each time that one asks), 0/, 1/ ... (the hosts' homes).
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CLOUD = Path(os.environ["CLOUD"])


def value(name: str) -> str | None:
    return next((word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")), None)


def hosts() -> list[Path]:
    asked = value("worker")
    return sorted(path for path in CLOUD.iterdir() if path.name.isdecimal() and asked in ("all", path.name))


def ssh(host: Path, command: str) -> int:
    """By a login shell; whatever still belongs to the connection when it ends is hung up on."""
    folder = value("output-directory")
    environment = {"HOME": str(host), "PATH": f"{CLOUD}/bin:/usr/bin:/bin"}
    shell = ["bash", "--noprofile", "--norc", "-c", command]
    done = subprocess.Popen(shell, cwd=host, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    said, _ = done.communicate(timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(done.pid, signal.SIGHUP)
    if folder:
        Path(folder, f"{host.name}.log").write_bytes(said)
    else:
        sys.stdout.buffer.write(said)
    return done.returncode


def states(action: str) -> int:
    asked = CLOUD / "states"
    if action == "create":
        (CLOUD / "created").touch()
    if action == "describe":
        if not (CLOUD / "created").exists():
            return 1
        first, *rest = asked.read_text().split()
        asked.write_text(" ".join(rest or [first]))
        print(first)
    return 0


with (CLOUD / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\n")
compute, tpus, group, action, *_ = sys.argv[1:]
if group == "queued-resources":
    sys.exit(states(action))
if action == "scp":
    for home in hosts():
        shutil.copy(sys.argv[5], home)
    sys.exit(0)
sys.exit(next((code for code in [ssh(home, value("command") or "") for home in hosts()] if code), 0))
