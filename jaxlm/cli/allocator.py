"""What glibc does with memory that was given back, set for training on a CPU."""

import ctypes
import os
from glob import glob

ACCELERATORS = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/accel*", "/dev/vfio/[0-9]*")
"""Device files of NVIDIA's and AMD's GPUs and of TPUs; found without jax, which must not be imported yet."""

SWITCH = "JAXLM_KEEP_PAGES"

# from malloc.h: (parameter, value)
_M_MMAP_MAX = -4, 0  # large arrays come from the heap too, so that they can be kept
_M_TRIM_THRESHOLD = -1, -1  # the end of the heap is never given back
_M_TOP_PAD = -2, 64 << 20  # the heap grows by 64 MiB at a time
_M_ARENA_MAX = -8, 1  # one heap for all threads: what one of them frees, any may take

_HEAP = 1 << 30
_HUGE_PAGE = 2 << 20
_MADV_HUGEPAGE = 14  # from asm-generic/mman-common.h


def keep_pages() -> bool:
    """Tells glibc to keep the memory that it is given back, if this process computes on a CPU; returns whether it did.

    XLA allocates a step's temporaries anew in each step. By default glibc returns large ones to the system at once, and
    a third of a training step on a CPU is spent on getting their pages back, zeroed. Huge pages, where the system gives
    them to who asks, win some percent more. The price: the process stays as large as it ever was. Call it before jax is
    imported, and before a thread of Python's has a heap of its own: XLA's would share it. `JAXLM_KEEP_PAGES=0` in the
    environment switches it off.
    """
    if os.environ.get(SWITCH) == "0" or not computes_on_cpu() or not _under_glibc():
        return False
    libc = ctypes.CDLL(None)
    settings = (_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_TOP_PAD, _M_ARENA_MAX)
    if not all(libc.mallopt(parameter, value) for parameter, value in settings):
        return False
    _prefer_huge_pages(libc)
    return True


def _prefer_huge_pages(libc: ctypes.CDLL) -> None:
    """Lets the heap's next GiB be of huge pages: it grows by that much, is advised, and is given back to the heap.

    Only addresses are taken; memory comes when it is written to. Where the system refuses, pages stay small.
    """
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if (block := libc.malloc(_HEAP)) is None:
        return
    begin = -(-block // _HUGE_PAGE) * _HUGE_PAGE
    libc.madvise(begin, (block + _HEAP - begin) // _HUGE_PAGE * _HUGE_PAGE, _MADV_HUGEPAGE)
    libc.free(block)


def computes_on_cpu() -> bool:
    """Whether jax will: its platforms are set to `cpu`, or unset and the machine has no accelerator."""
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms:
        return platforms == "cpu"
    return not any(glob(pattern) for pattern in ACCELERATORS)


def _under_glibc() -> bool:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (AttributeError, ValueError):  # Windows; another C library
        return False
