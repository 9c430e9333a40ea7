"""Devices that this machine doesn't have: a TPU's described by libtpu, or simulated ones of a CPU."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from typing import Any

import jax
from jax.experimental import topologies

from jaxlm.core import ConfigError

SLICE = re.compile(r"\w+:\d+x\d+(x\d+)?")
MOST = 2**14
"""Simulated devices: each takes memory, and the compiler time."""
ALLOWED = "Allowed: GENERATION:AxB or AxBxC, such as v5e:4x4, v5e:16x16, v5p:4x4x4 or v6e:8x8"


def simulated(number: int) -> list[Any]:
    """So many devices of this CPU, for which programs can be made and hardly run; where jax has made some already, of those.

    Raises:
      ConfigError: the number is none, too large, or more than jax has made already.
    """
    if not 1 <= number <= MOST:
        raise ConfigError(f"--devices {number}: give 1 to {MOST:,}")
    try:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", number)
    except RuntimeError as error:  # it has made its devices
        if len(jax.devices("cpu")) < number:
            raise ConfigError(f"--devices {number}: jax has made {len(jax.devices('cpu'))} already, and makes no more") from error
    return jax.devices("cpu")[:number]


def described(topology: str) -> list[Any]:
    """The devices of a TPU slice, such as v5e:16x16 or v5p:4x4x8, as its compiler knows them.

    Raises:
      ConfigError: libtpu is not installed, or knows no such slice.
    """
    if find_spec("libtpu") is None:
        raise ConfigError(f'--topology {topology}: libtpu is not installed; it comes with `pip install "jaxlm[tpu]"`')
    if not SLICE.fullmatch(topology):
        raise ConfigError(f"--topology {topology!r}: {ALLOWED}")
    jax.config.update("jax_platforms", "cpu")  # the process computes nothing on what it has
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # else it asks the network of a cloud which machine this is
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # no chip is used, so others may describe theirs at the same time
    with heard():
        try:
            return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
        except Exception as error:  # of several kinds
            said = str(error).splitlines()[0]
    raise ConfigError(f"--topology {topology}: libtpu knows no such slice ({said}). {ALLOWED}")


@contextmanager
def heard() -> Iterator[list[str]]:
    """What compilers write to stderr within it is not shown: at its end the list has the lines. Python's own are shown."""
    lines: list[str] = []
    sys.stderr.flush()
    own = os.dup(2)
    with tempfile.TemporaryFile() as kept, open(own, "w", buffering=1) as shown, redirect_stderr(shown):
        os.dup2(kept.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(own, 2)
            kept.seek(0)
            lines += kept.read().decode(errors="replace").splitlines()
