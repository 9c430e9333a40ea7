"""Eight simulated devices, one compile cache for the run, no folder of the user's touched."""

import os
import signal
import tempfile
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from stand_in import BUCKET, stand_in

# before anything imports jax, and inherited by xdist's workers and by the commands that tests start
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
if "JAXLM_CACHE" not in os.environ:
    _FOLDER = tempfile.TemporaryDirectory(prefix="jaxlm-tests-")
    os.environ["JAXLM_CACHE"] = _FOLDER.name
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(os.environ["JAXLM_CACHE"], "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell lets what it starts in the background ignore Ctrl-C, and the commands that tests start and interrupt inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real text that is no part of the project: $JAXLM_TEST_DATA, else ../shared/data."""
    folder = Path(os.environ.get("JAXLM_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the shared test data is not at {folder}; set JAXLM_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def object_store():
    """S3's stand-in, one for all tests of a process."""
    with stand_in() as found:
        yield found


@pytest.fixture
def s3(object_store, monkeypatch, tmp_path):
    """The stand-in, with a folder of its own for the test (`s3.root`) and this machine's own folders in `tmp_path`."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    object_store.requests.clear()
    object_store.root = f"s3://{BUCKET}/{uuid4().hex[:8]}"
    return object_store
