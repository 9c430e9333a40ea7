"""What a process sets up before its first program: the other processes of its run."""

import atexit
import contextlib
import ctypes
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import jax

from jaxlm.core.errors import ConfigError, Lost, Stopped, UserError
from jaxlm.parallel.config import MeshConfig
from jaxlm.parallel.hub import next_port
from jaxlm.parallel.mesh import devices_here
from jaxlm.parallel.peers import Facts, Peers, connect, split_address

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
"""Environment variables that say what no scheduler says; the address is process 0's, as all hosts know it."""

GRACE = 5.0
"""Seconds within which the news of a lost process comes to those whom it breaks."""

_handlers: list = []
"""Of signals, for C: they must live as long as the process."""


@dataclass(frozen=True)
class Place:
    """Which process of a run this is."""

    index: int = 0
    count: int = 1
    address: str = ""
    """Where process 0 listens, "host:port"; JAX's own coordinator takes the next port."""
    local_devices: tuple[int, ...] | None = None
    """The GPUs of the host that are this process's; None: all."""


def find_place(seconds: float = 300.0) -> Place:
    """As JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say; what they leave open, as the TPU pod, GKE, Slurm or
    Open MPI says (JAX's own detection); alone where nobody says anything.

    Args:
      seconds: how long a pod's address may take to be known.

    Raises:
      ConfigError: a variable is no number, or one is missing.
      Lost: the scheduler's own servers do not answer, or its name for process 0 does not come to be known.
    """
    from jax._src.clusters import ClusterEnv

    count, index, address = _number(COUNT), _number(INDEX), os.environ.get(ADDRESS)
    local = None
    if count != 1 and None in (address, count, index):
        try:
            with warnings.catch_warnings(action="ignore"):  # of a package that a pod of Kubernetes might have
                found = ClusterEnv.auto_detect_unset_distributed_params(address, count, index, None, None, int(seconds))
        except Exception as error:
            said = (
                f"which process of a run this is cannot be found: {error}. "
                f"Set {ADDRESS}, {COUNT} and {INDEX}; or {COUNT}=1 for one alone"
            )
            # A name that is not there yet, or a server that does not answer: process 0 may be on its way.
            raise (Lost if isinstance(error, RuntimeError | OSError) else ConfigError)(said) from error
        address, count, index, local = found
        if _tasks_on_host() == 1:
            local = None  # JAX would give it the first device of the host, and leave the others idle
    if count == 1 or (count is None and address is None and index is None):
        return Place()
    if address is None or count is None or index is None:
        missing = next(name for name, value in ((ADDRESS, address), (COUNT, count), (INDEX, index)) if value is None)
        raise ConfigError(f"{missing} is not set, and {ADDRESS}, {COUNT} and {INDEX} go together: set all three, or none")
    if not 0 <= index < count:
        raise ConfigError(f"{INDEX}={index} must be from 0 to {count - 1}: {COUNT}={count}")
    split_address(address)
    return Place(index, count, address, tuple(local) if local is not None else None)


def _tasks_on_host() -> int | None:
    """Processes that Slurm or Open MPI started on each host, such as SLURM_STEP_TASKS_PER_NODE=1(x2); None: nobody says."""
    said = os.environ.get("SLURM_STEP_TASKS_PER_NODE") or os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE")
    found = re.match(r"\d+", said or "")
    return int(found[0]) if found else None


def _number(name: str) -> int | None:
    given = os.environ.get(name)
    if given is None:
        return None
    if not given.isdecimal() or (name == COUNT and int(given) == 0):
        raise ConfigError(f"{name}={given} must be a whole number{', at least 1' if name == COUNT else ''}")
    return int(given)


@contextlib.contextmanager
def joined(place: Place, config: MeshConfig, facts: Facts, say: Callable[[str], None]) -> Iterator[Peers]:
    """This process among its peers, JAX's collectives set up; all leave together.

    Args:
      facts: what must be the same in all, such as digests of code and config.

    Raises:
      ConfigError, Lost: as `Peers.join` does.
    """
    peers = Peers(place.index, place.count, place.address, config.patience_seconds)
    if place.count == 1:
        yield peers
        return
    try:
        peers.join(facts, config.meeting_seconds)
        _start_jax(place, config)
        _leave_where_jax_aborts()
        say(_who_is_who(place, peers))
        try:
            yield peers
        except Stopped:
            _end_together(peers)
            raise
        _end_together(peers)
    except Exception as error:
        if isinstance(error, Stopped):
            raise
        if not isinstance(error, UserError):
            time.sleep(GRACE)  # a collective that broke since a peer is lost: then the news of it is on its way, and ends us
        code = getattr(error, "exit_code", 1)
        peers.leave(f"{type(error).__name__}: {(str(error).splitlines() or ['no words'])[0]}", code)
        atexit.register(_leave, code)
        raise


def _end_together(peers: Peers) -> None:
    peers.meet("the end")
    jax.distributed.shutdown()
    peers.leave()


def _leave(code: int) -> None:
    """Without JAX's own goodbye, which waits for peers that are in a collective."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _start_jax(place: Place, config: MeshConfig) -> None:
    host, port = split_address(place.address)
    if place.index > 0:  # else JAX ends the process with an abort that names nobody, where a firewall knows the first port alone
        connect(host, next_port(port), config.patience_seconds / 2).close()
    jax.distributed.initialize(
        f"{host}:{next_port(port)}",
        place.count,
        place.index,
        local_device_ids=place.local_devices,
        cluster_detection_method="deactivate",
        initialization_timeout=round(config.patience_seconds),
        heartbeat_timeout_seconds=round(2 * config.patience_seconds) + 30,  # ours comes first, with a name
        shutdown_timeout_seconds=round(config.patience_seconds),
    )


def _who_is_who(place: Place, peers: Peers) -> str:
    each = ", ".join(f"{index} on {host}" for index, host in enumerate(peers.hosts))
    devices_here()
    kind = jax.local_devices()[0].device_kind
    return f"{place.count} processes, {jax.local_device_count()} {kind} devices each: {each}; they meet at {place.address}"


@cache
def _leave_where_jax_aborts() -> None:
    """JAX ends a process whose coordinator has gone with an abort that names nobody. The news of who was lost comes at the same
    time by our own connection, so an abort waits for it, and then goes on."""

    def wait(number: int) -> None:
        time.sleep(GRACE)
        libc.signal(number, None)  # as it was
        os.abort()

    libc = ctypes.CDLL(None)
    _handlers.append(ctypes.CFUNCTYPE(None, ctypes.c_int)(wait))
    libc.signal(int(signal.SIGABRT), _handlers[0])
