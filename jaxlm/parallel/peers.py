"""The processes of a run: they meet, wait for each other by name and within a time, and none stays when one is lost.

JAX has the collectives; what it lacks is here. A process that never comes, that runs other code or that freezes ends there in
an abort without a name, in garbage, or in nothing at all. So each process holds one TCP connection to a `Hub`, a thread of
process 0, over which go lines of JSON: a sign of life each second, and who has come to which point of the run.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxlm.core.errors import ConfigError, Lost, RunError, UserError
from jaxlm.parallel.hub import BEAT, STANDS, START, Hub, receive, send

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]
"""What must be the same everywhere, by name; plain JSON."""


def leave_at_once(error: UserError) -> None:
    """What is done in a process whose peer is lost: it hangs in a collective, which nothing else ends."""
    print(error, file=sys.stderr, flush=True)
    os._exit(error.exit_code)


class Peers:
    """This process among those of its run.

    Args:
      index: its number, from 0.
      count: how many there are; 1: nothing is opened and nobody waited for.
      address: "host:port", where process 0 listens.
      patience: seconds without a sign of life, or at a point of the run, after which a process counts as lost.
      on_lost: called from a thread, once.
    """

    def __init__(
        self,
        index: int = 0,
        count: int = 1,
        address: str = "",
        patience: float = 120.0,
        on_lost: Callable[[UserError], None] = leave_at_once,
    ):
        assert 0 <= index < count, f"process {index} of {count}"
        self.index, self.count, self.patience = index, count, patience
        self.where = START
        """What this process is at, for the message that others print where it is lost."""
        self.hosts: list[str] = [socket.gethostname()]
        """Where each process runs, once they have met."""
        self._address, self._on_lost = address, on_lost
        self._news = threading.Condition()
        self._waiting: str | None = None
        """The point at which the main thread waits."""
        self._error: UserError | None = None
        self._told: Any = None
        self._begun = False
        """Whether all have met."""
        self._speaking = threading.Lock()
        self._hub: Hub | None = None
        self._socket: socket.socket | None = None
        self._left = threading.Event()

    def join(self, facts: Facts, seconds: float) -> None:
        """The first meeting.

        Raises:
          ConfigError: facts differ; the address does not resolve; the port is in use.
          Lost: a process did not come within `seconds`.
        """
        if self.count == 1:
            return
        host, port = split_address(self._address)
        if self.index == 0:
            self._hub = Hub(self.count, port, self.patience)
        self._socket = connect("localhost" if self._hub else host, port, seconds)
        self._say(process=self.index, host=socket.gethostname(), of=self.count)
        threading.Thread(target=self._listen, name="jaxlm-peers", daemon=True).start()
        threading.Thread(target=self._beat, name="jaxlm-beat", daemon=True).start()
        self.meet(START, facts, seconds)

    def agree(self, name: str, value: Any) -> Any:
        """Process 0's `value` (plain JSON), in all. Raises as `meet` does."""
        return self.meet(name, told=value) if self.count > 1 else value

    def meet(self, name: str, facts: Facts | None = None, seconds: float | None = None, told: Any = None) -> Any:
        """Waits until all processes are at the point `name`; all must come to the same points in the same order.

        Returns:
          What process 0 gave as `told`.

        Raises:
          ConfigError: facts differ; the message has who says what.
          Lost: a process did not come within `seconds` (default: the patience), or is lost while it is waited for.
        """
        if self.count == 1:
            return told
        with self._news:
            if self._error is not None:
                raise self._error
            self.where = self._waiting = name
            key = "mesh.meeting_seconds" if seconds else "mesh.patience_seconds"
            bound = seconds or self.patience
            self._say(at=name, facts=dict(facts or {}), seconds=bound, key=key, told=told)
            if not self._news.wait_for(lambda: self._waiting is None, timeout=bound + self.patience + 10):
                raise Lost(f"nothing answers at {self._address}, where process 0 should, since {self.where!r}. {STANDS}")
            if self._error is not None:
                raise self._error
            return self._told

    @contextlib.contextmanager
    def within(self, name: str, seconds: float) -> Iterator[None]:
        """Around what returns only once all processes have done their part, and tells of none that has not, such as a save: after
        `seconds` this process leaves, and the others with it."""
        if self.count == 1:
            yield
            return
        self.where = name
        error = Lost(
            f"waited {seconds:g} s at {name!r} for all processes to do their part. {STANDS}; "
            "to wait longer set mesh.meeting_seconds"
        )
        timer = threading.Timer(seconds, self._on_lost, [error])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def leave(self, failure: str | None = None, code: int = 0) -> None:
        """The last thing that a process does: without it its end is a loss to the others.

        Args:
          failure: why it ends before its time; None: it is done.
          code: its exit code then, which the others take over: a config that is wrong here is wrong everywhere.
        """
        if self._socket is None:
            return
        self._left.set()
        self._say(bye=failure or "", code=code)
        if self._hub is not None:
            self._hub.close(2 * BEAT if failure else self.patience)
        self._socket.close()

    def _say(self, **message: Any) -> None:
        assert self._socket is not None, "join comes first"
        with self._speaking, contextlib.suppress(OSError):  # what is wrong with the connection, `_listen` finds
            send(self._socket, message)

    def _beat(self) -> None:
        while not self._left.wait(BEAT):
            self._say(beat=self.where)

    def _listen(self) -> None:
        """Answers of the hub, until it has gone or is silent."""
        assert self._socket is not None, "join comes first"
        try:
            for message in receive(self._socket, self.patience):
                if "lost" in message:
                    return self._lose(_error(message["lost"], message["code"]))
                if "met" in message and message["met"] == self._waiting:
                    self.hosts, self._told = message["hosts"], message["told"]
                    self._begun = self._begun or not message["refused"]  # here, for news of a loss may be the next to come
                    self._answer(message["refused"] and ConfigError(message["refused"]))
            reason = "its connection closed"
        except TimeoutError:
            reason = f"no sign of life in {self.patience:g} s"
        except OSError as error:
            reason = f"its connection closed: {error.strerror or error}"
        except (ValueError, TypeError, KeyError):
            reason = "what answers there is no process of jaxlm"
        advice = STANDS if self._begun else "Nothing has begun; start all processes again"
        self._lose(Lost(f"process 0 (at {self._address}) was lost at {self.where!r}: {reason}. {advice}"))

    def _answer(self, error: UserError | None) -> None:
        with self._news:
            self._waiting, self._error = None, error
            if error is not None:
                self._left.set()  # the others' end is no news any more
            self._news.notify_all()

    def _lose(self, error: UserError) -> None:
        """To the main thread where it waits for the first meeting. Later it may hang in a collective, or would in a save that is
        not complete, so the process leaves at once."""
        if self._left.is_set():
            return
        if self._begun:
            self._on_lost(error)
        self._answer(error)


def _error(message: str, code: int) -> UserError:
    return {ConfigError.exit_code: ConfigError, RunError.exit_code: RunError}.get(code, Lost)(message)


def split_address(address: str) -> tuple[str, int]:
    """Host and port. Raises ConfigError where it is not "host:port"."""
    host, _, port = address.rpartition(":")
    if not host or ":" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(
            f"JAX_COORDINATOR_ADDRESS={address} is not HOST:PORT, the port from 1 to 65535; give such as 10.0.0.2:1234"
        )
    return host, int(port)


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to process 0, which may not have begun yet.

    Raises:
      ConfigError: the host does not resolve.
      Lost: nothing answers within `seconds`.
    """
    until, told = time.monotonic() + seconds, False
    while True:
        try:
            return socket.create_connection((host, port), timeout=seconds)
        except OSError as error:
            if isinstance(error, socket.gaierror) and not told:
                log.warning("JAX_COORDINATOR_ADDRESS: %s does not resolve yet; asking for %g s", host, seconds)
                told = True
            if time.monotonic() < until:
                time.sleep(0.2)
            elif isinstance(error, socket.gaierror):
                raise ConfigError(
                    f"JAX_COORDINATOR_ADDRESS: {host} does not resolve ({error.strerror}) on {socket.gethostname()}, asked for "
                    f"{seconds:g} s; give a name or address of process 0's host that all hosts know"
                ) from error
            else:
                raise Lost(
                    f"waited {seconds:g} s at {START!r} for process 0 at {host}:{port}: {error.strerror or error}. "
                    "Start it, and see that nothing between the hosts holds the port back"
                ) from error
