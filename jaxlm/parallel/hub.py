"""The server behind `Peers`: a thread of process 0 that knows who is where, and tells all who is missing."""

import contextlib
import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxlm.core.errors import ConfigError, Lost

BEAT = 1.0
"""Seconds between two signs of life."""
START = "the start"
"""The first point, where all meet."""
STANDS = "The last checkpoint stands; start all processes again to go on from it"


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection: socket.socket, patience: float) -> Iterator[dict[str, Any]]:
    """Messages until the other side closes. Raises TimeoutError where none comes within `patience` seconds."""
    connection.settimeout(patience)
    rest = b""
    while data := connection.recv(1 << 16):
        *lines, rest = (rest + data).split(b"\n")
        yield from map(json.loads, lines)


@dataclass
class _Guest:
    """A connection, and what is known of who holds it."""

    connection: socket.socket
    rest: bytes = b""
    process: int | None = None
    """None: it has not said so yet."""
    host: str = ""
    refused: str | None = None
    """Why it is none of the run's processes."""
    where: str = START
    heard: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return f"process {self.process} (on {self.host})"


@dataclass
class _Point:
    """A point of the run at which some have arrived."""

    until: float
    seconds: float
    key: str
    """That of the config which says so."""
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    told: Any = None
    """By process 0, to all."""


def _introduces(message: dict[str, Any]) -> bool:
    """Whether these are the first words of a process of a run."""
    process, of = message.get("process"), message.get("of")
    return isinstance(process, int) and isinstance(of, int) and 0 <= process < of and isinstance(message.get("host"), str)


def next_port(port: int) -> int:
    """JAX's, beside that at which the processes meet."""
    return port + 1 if port + 1 < 2**16 else port - 1


def listen(port: int) -> socket.socket:
    """A server. Raises ConfigError where the port is in use."""
    try:
        return socket.create_server(("", port), backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(
            f"port {port} of this host, where process 0 is to listen, cannot be opened: {reason}. End what uses it, or "
            "give JAX_COORDINATOR_ADDRESS another port"
        ) from error


class Hub:
    """Listens from when it is made. Raises ConfigError where the port is in use."""

    def __init__(self, count: int, port: int, patience: float):
        self._count, self._patience = count, patience
        listen(next_port(port)).close()  # JAX's own, which would say little
        self._server = listen(port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._guests: dict[socket.socket, _Guest] = {}
        self._gone: set[int] = set()
        self._points: dict[str, _Point] = {}
        self._lost: dict[str, Any] | None = None
        self._refused: str | None = None
        self._begun: dict[str, Any] | None = None
        """What all said at the first meeting; None: they have not met."""
        self._closing_at: float | None = None
        self._thread = threading.Thread(target=self._serve, name="jaxlm-hub", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Waits until all who came have left, at most so long."""
        self._closing_at = time.monotonic() + seconds
        self._thread.join()

    def _serve(self) -> None:
        try:
            self._run()
        finally:
            for connection in self._guests:
                connection.close()
            self._server.close()
            self._selector.close()

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._over():
            for key, _ in self._selector.select(timeout=BEAT / 5):
                if key.fileobj is self._server:
                    self._welcome()
                elif key.fileobj in self._guests:  # not closed by a message before
                    self._read(self._guests[key.fileobj])  # type: ignore[index]
            now = time.monotonic()
            if now >= beat + BEAT:
                beat = now
                self._tell({"beat": True})
                self._look(now)

    def _over(self) -> bool:
        there = {guest.process for guest in self._guests.values()} - self._gone - {None}
        return self._closing_at is not None and (not there or time.monotonic() > self._closing_at)

    def _welcome(self) -> None:
        connection, _ = self._server.accept()
        connection.settimeout(self._patience)
        self._guests[connection] = _Guest(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, guest: _Guest) -> None:
        try:
            data = guest.connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            return self._closed(guest)
        guest.heard = time.monotonic()
        *lines, guest.rest = (guest.rest + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if not (isinstance(message, dict) and (guest.process is not None or guest.refused or _introduces(message))):
                return self._closed(guest)  # somebody else's connection
            self._hear(guest, message)

    def _hear(self, guest: _Guest, message: dict[str, Any]) -> None:
        if "process" in message:
            self._introduce(guest, message)
        elif guest.process is None:  # it was refused
            # A process of this very run that was begun again before its end comes once more.
            if "at" in message and message["facts"] == self._begun:
                self._tell({"lost": f"{guest.refused}. {STANDS}", "code": Lost.exit_code}, to=[guest])
            elif "at" in message:
                self._answer(message["at"], refused=guest.refused, to=[guest])
        elif "beat" in message:
            guest.where = message["beat"]
        elif "at" in message:
            self._arrive(guest, guest.process, message)
        elif "bye" in message:
            self._gone.add(guest.process)
            if message["bye"]:
                advice = f". {STANDS}" if message["code"] == Lost.exit_code else ""  # the others come again
                self._lose(f"{guest.name} ended at {guest.where!r}: {message['bye']}{advice}", message["code"])

    def _introduce(self, guest: _Guest, message: dict[str, Any]) -> None:
        """Takes a newcomer for the process that it says it is, or refuses it: before all have met the whole run, which cannot be
        complete, and afterwards the newcomer alone, which is a stranger."""
        process, of, guest.host = message["process"], message["of"], message["host"]
        other = next((known for known in self._guests.values() if known.process == process), None)
        if self._begun is not None:
            here = socket.gethostname()
            guest.refused = f"the run that meets there (process 0 on {here}) has begun without this process; give another port"
        elif other is not None:
            guest.refused = f"two processes call themselves {process}, on {other.host} and on {guest.host}; give each its number"
        elif of != self._count:
            guest.refused = (
                f"process {process} (on {guest.host}) says that there are {of} processes and process 0 says {self._count}; "
                "give all the same number"
            )
        else:
            guest.process = process
        if guest.refused is not None and self._begun is None:
            self._refused = guest.refused
            self._answer(START, refused=guest.refused)

    def _arrive(self, guest: _Guest, process: int, message: dict[str, Any]) -> None:
        name, seconds = message["at"], message["seconds"]
        point = self._points.setdefault(name, _Point(time.monotonic() + seconds, seconds, message["key"]))
        point.facts[process] = message["facts"]
        guest.where = name
        if process == 0:
            point.told = message["told"]
        if self._lost is not None:
            self._tell(self._lost)
        elif self._refused is not None:
            self._answer(name, refused=self._refused)
        elif len(point.facts) == self._count:
            del self._points[name]
            self._begun = message["facts"] if self._begun is None else self._begun
            hosts = {known.process: known.host for known in self._guests.values()}
            each = [hosts[number] for number in range(self._count)]
            self._answer(name, refused=self._difference(point.facts), hosts=each, told=point.told)

    def _answer(
        self, name: str, *, refused: str | None, hosts: Sequence[str] = (), told: Any = None, to: Sequence[_Guest] | None = None
    ) -> None:
        self._tell({"met": name, "refused": refused, "hosts": hosts, "told": told}, to)

    def _difference(self, facts: dict[int, dict[str, Any]]) -> str | None:
        """The first fact in which a process differs from process 0, and who; None: all agree."""
        for process, theirs in sorted(facts.items()):
            for key in {**facts[0], **theirs}:
                if facts[0].get(key) != theirs.get(key):
                    names = {guest.process: guest.name for guest in self._guests.values()}
                    return (
                        f"{key} is not the same in all processes: {names[0]} has {facts[0].get(key)} and {names[process]} has "
                        f"{theirs.get(key)}. Give all of them the same code, recipe, flags and files"
                    )
        return None

    def _look(self, now: float) -> None:
        """Who is silent, and who is waited for in vain."""
        for guest in list(self._guests.values()):
            if guest.process in self._gone or now - guest.heard <= self._patience:
                continue
            if guest.process is None:  # somebody else's
                self._closed(guest)
            else:
                self._lose(f"{guest.name} was lost at {guest.where!r}: no sign of life in {self._patience:g} s. {STANDS}")
        for name, point in self._points.items():
            if now > point.until:
                known = {guest.process: f"{guest.name}, which is at {guest.where!r}" for guest in self._guests.values()}
                missing = [known.get(n, f"process {n}") for n in range(self._count) if n not in point.facts]
                advice = "Start them all, or set JAX_NUM_PROCESSES=1 for this one alone" if name == START else STANDS
                longer = f"; to wait longer set {point.key}"
                self._lose(f"waited {point.seconds:g} s at {name!r} for {' and '.join(missing)}. {advice}{longer}")

    def _closed(self, guest: _Guest) -> None:
        self._selector.unregister(guest.connection)
        guest.connection.close()
        del self._guests[guest.connection]
        if guest.process is not None and guest.process not in self._gone:
            self._lose(f"{guest.name} was lost at {guest.where!r}: its connection closed. {STANDS}")
            self._gone.add(guest.process)

    def _lose(self, message: str, code: int = Lost.exit_code) -> None:
        if self._lost is None:
            self._lost = {"lost": message, "code": code}
            self._tell(self._lost)

    def _tell(self, message: dict[str, Any], to: Sequence[_Guest] | None = None) -> None:
        """To some, or to all who have said who they are; process 0 last, whose end is this hub's."""
        known = [guest for guest in self._guests.values() if guest.process is not None or guest.refused]
        for guest in sorted(known if to is None else to, key=lambda guest: guest.process == 0):
            with contextlib.suppress(OSError):  # of that one its own reading tells
                send(guest.connection, message)
