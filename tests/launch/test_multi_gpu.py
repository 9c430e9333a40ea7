"""`launch/multi_gpu.sh`: one process for all GPUs of a host, or one each."""

import os
import subprocess
import sys

import pytest
from several import free_port


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


THREE = "#!/bin/sh\nprintf 'GPU %s: NVIDIA H100\\n  MIG 1g.10gb\\n' 0 1 2\n"
NONE = "#!/bin/sh\necho No devices were found >&2\nexit 6\n"


@pytest.fixture
def each(script, tmp_path):
    """Runs it with a process a GPU; returns (exit code, what process 0 printed, processes and the builder of the store)."""

    def run(smi: str, **environment: str):
        (tmp_path / "nvidia-smi").write_text(smi)
        (tmp_path / "nvidia-smi").chmod(0o755)
        return script("multi_gpu.sh", "nano/gpt2", "--text", "a b", codes=(0,) * 9, PROCESS_PER_GPU="1", **environment)

    return run


def test_each_gpu_has_a_process(each):
    code, lines, starts = each(THREE)
    assert (code, starts) == (0, 1 + 3)
    assert lines[0] == "train nano/gpt2 --text a b"
    assert {"JAX_PLATFORMS=cuda", "JAX_NUM_PROCESSES=3", "JAX_PROCESS_ID=0", "JAX_LOCAL_DEVICE_IDS=0"} <= set(lines)
    assert {"NCCL_DEBUG=WARN", "NCCL_SOCKET_IFNAME==lo"} <= set(lines)


def test_each_process_has_a_gpu_of_its_own(each, tmp_path):
    each(THREE)
    assert sorted((tmp_path / "started").read_text().split()) == ["0:0", "1:1", "2:2", ":"], "process:GPU; the builder has none"


@pytest.mark.parametrize("chosen", ["2,5", "GPU-8f6d,GPU-11aa"])
def test_chosen_gpus_are_counted(each, chosen):
    code, lines, starts = each(NONE, CUDA_VISIBLE_DEVICES=chosen)
    assert (code, starts) == (0, 1 + 2)
    assert "JAX_NUM_PROCESSES=2" in lines


@pytest.mark.parametrize("environment", [{}, {"CUDA_VISIBLE_DEVICES": ""}])
def test_no_gpu_is_said_before_anything_is_started(each, script, environment):
    assert each(NONE, **environment) == (2, [], 0)
    assert "no GPU is here" in script.said


def test_jax_takes_the_gpu_that_it_is_told():
    """The variable is JAX's own, read where the processes join."""
    program = f"""
import jax
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.start import Place, _start_jax
_start_jax(Place(0, 1, "127.0.0.1:{free_port()}"), MeshConfig())
print(jax.config.values["jax_cuda_visible_devices"])
"""
    environment = {**os.environ, "JAX_LOCAL_DEVICE_IDS": "3", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "3"
