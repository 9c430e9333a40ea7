"""`launch/tpu_pod.sh` in front of a stand-in for `gcloud`, which runs what the hosts are to do, each in a folder of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"

JAXLM = """#!/usr/bin/env bash
[ "$1" = train ] || { printf '%s|' built "$@" "$JAX_PLATFORMS" "${JAXLM_CACHE:-}" >>"$HOME/built"; exit "$(cat "$HOME/code" 2>/dev/null || echo 0)"; }
trap 'touch "$HOME/../stopping"' TERM  # all agree when to stop, so one that is told is enough
printf '<%s>' "$@"
echo " on $JAX_PLATFORMS with ${JAXLM_CACHE:-a store of its own}"
until [ -e "$HOME/../stopping" ]; do sleep 0.05; done
echo saved
exit 75
"""
UV = '#!/bin/sh\necho "$@" >>"$HOME/installed"\n'
RECIPE = "def config(): ...\n"
AWKWARD = ("--text", 'it\'s $HOME; "two" words', "--train.steps=2")


class Pod:
    """Two hosts, and the machine from which they are driven."""

    def __init__(self, folder: Path):
        self.folder, self.hosts = folder, (folder / "0", folder / "1")
        for host in self.hosts:
            host.mkdir()
        (folder / "bin").mkdir()
        (folder / "states").write_text("ACTIVE")
        self.program("jaxlm", JAXLM)
        self.program("uv", UV)
        self.program("sleep", '#!/bin/sh\n[ "$1" = 20 ] || exec /bin/sleep "$@"\n')  # between two questions for the state
        shutil.copy(Path(__file__).parent / "gcloud.py", folder / "bin" / "gcloud")
        (folder / "bin" / "gcloud").chmod(0o755)

    def program(self, name: str, text: str) -> None:
        (self.folder / "bin" / name).write_text(text)
        (self.folder / "bin" / name).chmod(0o755)

    def __call__(self, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TPU_", "JAX_"))}
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        named = {"TPU_NAME": "slice", "TPU_ZONE": "us-west4-a", "CLOUD": str(self.folder), "PATH": path}
        done = subprocess.run(
            [LAUNCH / "tpu_pod.sh", *words],
            cwd=self.folder,
            env={**clean, **named, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done

    def calls(self, action: str) -> list[list[str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call[3] == action]

    def log(self, host: int) -> str:
        path = self.hosts[host] / "jaxlm" / "train.log"
        return path.read_text() if path.exists() else ""

    def until(self, text: str) -> None:
        """Waits for it in both logs."""
        begun = time.monotonic()
        while not all(text in self.log(host) for host in (0, 1)):
            assert time.monotonic() - begun < 60, (self.log(0), self.log(1))
            time.sleep(0.05)


@pytest.fixture
def pod(tmp_path):
    found = Pod(tmp_path)
    yield found
    for host in found.hosts:  # what a test that failed left
        number = host / "jaxlm" / "pid"
        if number.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number.read_text()), signal.SIGTERM)


def test_a_slice_is_asked_for_once_and_waited_for(pod):
    (pod.folder / "states").write_text("WAITING_FOR_RESOURCES WAITING_FOR_RESOURCES PROVISIONING ACTIVE")
    asked = {"TPU_TYPE": "v5litepod-32", "TPU_RUNTIME": "v2-alpha-tpuv5-lite", "TPU_SPOT": "1"}
    said = pod("create", **asked).stdout.splitlines()
    assert said == [f"slice: {state}" for state in ("WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE")]
    pod("create", **asked)
    [call] = pod.calls("create")
    assert call[:5] == ["compute", "tpus", "queued-resources", "create", "slice"]
    wanted = ("node-id=slice", "accelerator-type=v5litepod-32", "runtime-version=v2-alpha-tpuv5-lite", "spot", "zone=us-west4-a")
    assert sorted(call[5:]) == sorted(f"--{word}" for word in wanted)


@pytest.mark.parametrize("state", ["FAILED", "SUSPENDED"])
def test_a_request_that_comes_to_nothing_ends_the_wait(pod, state):
    (pod.folder / "states").write_text(f"PROVISIONING {state}")
    said = pod("create", code=1, TPU_TYPE="v5litepod-8", TPU_RUNTIME="v2-alpha-tpuv5-lite").stderr
    assert "delete it, then create it again" in said
    assert not any("--spot" in call for call in pod.calls("create"))


@pytest.mark.parametrize(("name", "verb"), [("TPU_NAME", "stop"), ("TPU_ZONE", "train"), ("TPU_TYPE", "create"), ("", "what")])
def test_what_is_not_filled_in_is_said(pod, name, verb):
    said = pod(verb, "nano/gpt2", code=2, **({name: ""} if name else {})).stderr
    assert (f"{name} is not set" if name else "usage:") in said
    assert not (pod.folder / "calls").exists()


def test_a_recipe_that_is_not_there_is_said_before_anything_is_carried(pod):
    assert "my_recpe.py: there is no such recipe here" in pod("train", "my_recpe.py", code=2).stderr
    assert not (pod.folder / "calls").exists()


def test_all_hosts_train_a_recipe_of_ones_own_until_they_are_stopped(pod):
    recipe = pod.folder / "my recipes" / "it's mine.py"
    recipe.parent.mkdir()
    recipe.write_text(RECIPE)
    pod("train", str(recipe), *AWKWARD, "--run-dir", "gs://bucket/a run")
    pod.until("on tpu")
    for host in (0, 1):
        name = "code/recipe/it's mine.py"
        words = ("train", name, *AWKWARD, "--run-dir", "gs://bucket/a run")
        assert pod.log(host).splitlines()[0] == "".join(f"<{word}>" for word in words) + " on tpu with a store of its own"
        home = pod.hosts[host]
        assert (home / "built").read_text() == "|".join(("built", "data", "build", name, *AWKWARD, "cpu", "", ""))
        assert (home / "jaxlm" / name).read_text() == RECIPE
        assert (home / "jaxlm" / "code" / "jaxlm" / "cli" / "train.py").is_file()
        assert (home / "installed").read_text().splitlines()[-1].endswith("-e ./code[gcs,s3,tpu]")

    assert "is training" in pod("train", "nano/gpt2", code=1).stderr
    assert len(pod.calls("scp")) == 1, "the code of a run is not changed under it"
    said = pod("stop").stdout
    assert said.splitlines() == ["launch/restart.sh: ended with exit code 75"] * 2
    assert "starting again" not in pod.log(0) + pod.log(1)

    (pod.folder / "stopping").unlink()
    pod("train", str(recipe))  # goes on: that is for jaxlm to find out
    pod.until("saved\nlaunch/restart.sh: ended with exit code 75\n<train>")


def test_logs_come_back(pod):
    pod("train", "nano/gpt2")
    pod.until("on tpu")
    pod("logs", "from the hosts")
    for host in (0, 1):
        assert (pod.folder / "from the hosts" / f"{host}.log").read_text() == pod.log(host)
    pod("stop")
    assert pod("logs").stdout == pod.log(0), "of host 0, which prints what all have to say"


def test_a_run_is_followed_to_its_end(pod):
    pod.program("jaxlm", '#!/bin/sh\necho "$1"\n[ "$1" = data ] || sleep 1\necho done\n')
    pod("train", "nano/gpt2")
    pod.until("train")
    assert pod("logs").stdout == "train\ndone\n"


def test_a_cache_that_all_see_is_filled_by_one(pod):
    (pod.hosts[1] / "code").write_text("1")
    assert pod("train", "nano/gpt2", code=1, TPU_CACHE="/mnt/all of us")
    assert [(host / "built").read_text().count("built|") for host in pod.hosts] == [2, 1], "0 first, alone"
    assert "/mnt/all of us" in (pod.hosts[0] / "built").read_text()
    assert not pod.log(0), "a store that fails anywhere ends it before anyone trains"


def test_it_is_deleted_with_the_hosts_that_it_has(pod):
    pod("delete")
    assert pod.calls("delete") == [["compute", "tpus", "queued-resources", "delete", "slice", "--force", "--zone=us-west4-a"]]
