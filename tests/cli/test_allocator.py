import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlm.cli import allocator

GLIBC = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
FAULTS = """
import ctypes, resource, sys
from jaxlm.cli.allocator import keep_pages
if sys.argv[1] == "keep":
    assert keep_pages()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use():
    block = libc.malloc(32 << 20)
    ctypes.memset(block, 1, 32 << 20)
    libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _huge_pages() -> str:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return setting.read_text() if setting.is_file() else ""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="mallopt is glibc's")
def test_memory_that_was_given_back_is_used_again_without_page_faults():
    assert page_faults("keep") < 200 < 5_000 < page_faults("leave")


HUGE = """
import sys
from jaxlm.cli.allocator import keep_pages
if sys.argv[1] == "keep":
    assert keep_pages()
block = b"x" * (64 << 20)
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")))
"""


@pytest.mark.skipif("[madvise]" not in _huge_pages(), reason="the system gives huge pages to all or to none")
def test_large_arrays_lie_on_huge_pages():
    kept, left = (int(subprocess.check_output([sys.executable, "-c", HUGE, how])) for how in ("keep", "leave"))
    assert left < 8 << 10 < 48 << 10 < kept  # KiB


@pytest.mark.parametrize(("platforms", "expected"), [("cpu", True), ("cuda", False), ("cpu,tpu", False)])
def test_the_platform_that_is_set_decides(monkeypatch, platforms, expected):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert allocator.computes_on_cpu() is expected


def test_nothing_is_set_on_import_or_where_it_is_switched_off():
    program = (
        "import ctypes, os\n"
        "class NoCall:\n"
        "    def __init__(self, *_): raise SystemExit('touched')\n"
        "ctypes.CDLL = NoCall\n"
        "import jaxlm, jaxlm.cli.main\n"
        "from jaxlm.cli.allocator import keep_pages\n"
        "os.environ['JAXLM_KEEP_PAGES'] = '0'\n"
        "assert keep_pages() is False\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_train_calls_it_before_anything_imports_jax_or_has_a_heap_of_its_own():
    program = (
        "import sys, threading\n"
        "import jaxlm.cli.allocator as allocator\n"
        "allocator.keep_pages = lambda: sys.exit('jax' in sys.modules or threading.active_count() > 1)\n"
        "from jaxlm.cli.entry import entry\n"
        "sys.argv[1:] = ['train', 'nano/gpt2']\n"
        "entry()\n"
        "sys.exit('train went on without it')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_accelerators_count_where_no_platform_is_set(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setattr(allocator, "ACCELERATORS", (str(tmp_path / "nvidia[0-9]*"),))
    assert allocator.computes_on_cpu()
    (tmp_path / "nvidiactl").touch()
    assert allocator.computes_on_cpu()
    (tmp_path / "nvidia0").touch()
    assert not allocator.computes_on_cpu()
