"""A stand-in for `jaxlm`, for the scripts to start."""

import os
import subprocess
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"

STAND_IN = """#!/bin/sh
echo "$@"
env | grep -E '^(JAX_[A-Z_]*|XLA_FLAGS|XLA_CLIENT_MEM_FRACTION|NCCL_[A-Z_]*)='
echo "$JAX_PROCESS_ID:$JAX_LOCAL_DEVICE_IDS" >> started
exit $(sed -n "$(wc -l < started)p" codes)
"""


@pytest.fixture
def script(tmp_path):
    """Runs a script where `jaxlm` ends with each of these codes in turn; returns (exit code, stdout, number of starts); `script.said` is stderr."""

    def run(name: str, *args: str, codes=(0,), **environment: str) -> tuple[int, list[str], int]:
        stand_in = tmp_path / "jaxlm"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("JAX_", "XLA_", "TPU_", "NCCL_", "CUDA_"))}
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [LAUNCH / name, *args], cwd=tmp_path, env={**clean, "PATH": path, **environment}, capture_output=True, text=True
        )
        run.said = done.stderr
        started = tmp_path / "started"
        return done.returncode, done.stdout.splitlines(), len(started.read_text().splitlines()) if started.exists() else 0

    return run
