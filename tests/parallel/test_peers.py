"""Processes that meet, wait and lose each other; here they are threads, each with its own connection."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from several import free_port

from jaxlm.core.errors import ConfigError, Lost, RunError, UserError
from jaxlm.parallel.peers import Peers, connect, split_address


@pytest.fixture
def address():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as executor:
        yield executor


def outcome(work):
    try:
        return work()
    except UserError as error:
        return error


def all_of(pool, peers, work):
    """What `work` gave each of them, errors among it; then all leave."""
    found = [future.result(20) for future in [pool.submit(outcome, lambda peer=peer: work(peer)) for peer in peers]]
    leave(pool, peers)
    return found


def leave(pool, peers):
    for future in [pool.submit(peer.leave) for peer in peers]:
        future.result(20)


def test_all_go_on_from_a_point_once_the_last_is_there(address, pool):
    passed = []

    def work(peer):
        peer.join({"code": "abc"}, seconds=10)
        for k in range(3):
            time.sleep(0.1 * peer.index)
            passed.append(k)
            peer.meet(f"point {k}")
            assert passed.count(k) == 3

    assert all_of(pool, [Peers(k, 3, address) for k in range(3)], work) == [None] * 3


def test_one_process_waits_for_nobody():
    peers = Peers()
    peers.join({}, seconds=0.1)
    peers.meet("anywhere")
    peers.leave()


def test_who_never_comes_is_named(address, pool):
    found = all_of(pool, [Peers(k, 4, address) for k in (0, 2)], lambda peer: peer.join({}, seconds=1.0))
    for error in found:
        assert isinstance(error, Lost)
        assert error.exit_code == 76
        assert str(error) == (
            "waited 1 s at 'the start' for process 1 and process 3. Start them all, or set JAX_NUM_PROCESSES=1 for this one alone; "
            "to wait longer set mesh.meeting_seconds"
        )


def test_without_process_0_the_others_say_so(address, pool):
    [error] = all_of(pool, [Peers(1, 2, address)], lambda peer: peer.join({}, seconds=0.5))
    assert str(error).startswith(f"waited 0.5 s at 'the start' for process 0 at {address}: Connection refused")


def test_who_is_late_at_a_point_is_named_with_where_it_is(address, pool):
    def work(peer):
        peer.join({}, seconds=10)
        if peer.index == 1:
            return time.sleep(3)
        return peer.meet("checkpoint save 400", seconds=1.0)

    late = []
    found = all_of(pool, [Peers(k, 2, address, on_lost=late.append) for k in range(2)], work)
    message = f"waited 1 s at 'checkpoint save 400' for process 1 (on {socket.gethostname()}), which is at 'the start'."
    assert str(found[0]).startswith(message)
    assert [str(error).startswith(message) for error in late] == [True, True], "both are told from a thread, as one in a collective"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            [{"code": "a"}, {"code": "b"}],
            "code is not the same in all processes: process 0 (on {host}) has a and process 1 (on {host}) has b.",
        ),
        (
            [{}, {"train.seed": 1}],
            "train.seed is not the same in all processes: process 0 (on {host}) has None and process 1 (on {host}) has 1.",
        ),
    ],
)
def test_what_differs_is_refused_by_all(address, pool, facts, words):
    found = all_of(pool, [Peers(k, 2, address) for k in range(2)], lambda peer: peer.join(facts[peer.index], seconds=10))
    assert [type(error) for error in found] == [ConfigError] * 2
    assert str(found[1]).startswith(words.format(host=socket.gethostname()))


def test_two_of_one_number_and_another_count_are_refused(address, pool):
    def join(peer):
        peer.join({}, seconds=5)

    twice = all_of(pool, [Peers(0, 3, address), Peers(1, 3, address), Peers(1, 3, address)], join)
    assert all("two processes call themselves 1, on" in str(error) for error in twice)


def test_another_count_is_refused(address, pool):
    found = all_of(pool, [Peers(0, 2, address), Peers(1, 3, address)], lambda peer: peer.join({}, seconds=5))
    assert all("says that there are 3 processes and process 0 says 2; give all the same number" in str(e) for e in found)


@pytest.mark.parametrize("taken", [0, 1])
def test_a_port_in_use_is_said(address, taken):
    """Ours, and the next, which is JAX's."""
    _, port = split_address(address)
    with (
        socket.create_server(("", port + taken)),
        pytest.raises(ConfigError, match=f"port {port + taken} of this host.* in use. End what uses it"),
    ):
        Peers(0, 2, address).join({}, seconds=1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere.invalid:1234", "JAX_COORDINATOR_ADDRESS: nowhere.invalid does not resolve"),
        ("[::1]:1234", r"JAX_COORDINATOR_ADDRESS=\[::1\]:1234 is not HOST:PORT"),
        ("10.0.0.2", "JAX_COORDINATOR_ADDRESS=10.0.0.2 is not HOST:PORT"),
        ("host:99999", "JAX_COORDINATOR_ADDRESS=host:99999 is not HOST:PORT"),
    ],
)
def test_addresses_that_are_none_are_said(given, words):
    with pytest.raises(ConfigError, match=words):
        Peers(1, 2, given).join({}, seconds=0.3)


def test_a_failure_ends_the_others_with_its_reason(address, pool):
    lost = []

    def work(peer):
        peer.join({}, seconds=10)
        if peer.index == 1:
            return peer.leave("the disk is full", 1)
        return peer.meet("checkpoint save 3")

    found = all_of(pool, [Peers(k, 3, address, on_lost=lost.append) for k in range(3)], work)
    assert str(found[2]).startswith(f"process 1 (on {socket.gethostname()}) ended at 'the start': the disk is full")
    assert "start all processes again" not in str(found[2]), "a failure comes again"
    assert found[1] is None
    until = time.monotonic() + 10
    while len(lost) < 2 and time.monotonic() < until:  # each is told by a thread of its own
        time.sleep(0.05)
    assert [type(error) for error in lost] == [RunError] * 2


def test_a_stranger_is_refused_and_the_run_goes_on(address, pool):
    """Another run that drew the same port, or a process started once more."""
    met, strangers = Barrier(3), []

    def work(peer):
        peer.join({}, seconds=10)
        met.wait(10)  # the stranger comes
        met.wait(20)  # and has gone
        peer.meet("later")

    running = [pool.submit(all_of, pool, [Peers(k, 2, address, on_lost=strangers.append) for k in range(2)], work)]
    met.wait(10)
    stranger = Peers(1, 2, address, on_lost=strangers.append)
    error = outcome(lambda: stranger.join({}, seconds=5))
    assert "has begun without this process; give another port" in str(error)
    stranger.leave(str(error), 2)
    met.wait(20)
    assert running[0].result(30) == [None, None]
    assert not strangers


def test_a_process_that_is_begun_again_before_its_run_has_ended_comes_once_more(address, pool):
    """Its end is not known yet: 76, after which a launcher begins it again, and not 2, as for a stranger."""
    met = Barrier(3)

    def work(peer):
        peer.join({"run": "this"}, seconds=10)
        met.wait(10)
        met.wait(20)

    running = [pool.submit(all_of, pool, [Peers(k, 2, address, on_lost=lambda _: None) for k in range(2)], work)]
    met.wait(10)
    again, other = Peers(1, 2, address), Peers(1, 2, address)
    error = outcome(lambda: again.join({"run": "this"}, seconds=5))
    assert isinstance(error, Lost)
    assert "has begun without this process" in str(error)
    assert isinstance(outcome(lambda: other.join({"run": "another"}, seconds=5)), ConfigError)
    again.leave(str(error), 76)
    other.leave(str(error), 2)
    met.wait(20)
    assert running[0].result(30) == [None, None]


@pytest.mark.parametrize(
    "words", ['{"process": 7}', '{"process": "0", "of": 2, "host": "x"}', '{"at": "the start"}', "[]", "GET /"]
)
def test_what_is_no_process_is_turned_away_and_the_run_goes_on(address, pool, words):
    peers = [Peers(k, 2, address) for k in range(2)]
    hub = pool.submit(outcome, lambda: peers[0].join({}, seconds=20))
    with connect(*split_address(address), seconds=10) as stranger:
        stranger.sendall(f"{words}\n".encode())
        stranger.settimeout(10)
        assert stranger.recv(100) == b"", "closed, and told nothing"
    peers[1].join({}, seconds=20)
    assert hub.result(20) is None
    leave(pool, peers)


def test_a_connection_that_says_nothing_is_closed_in_time(address, pool):
    peers = [Peers(k, 2, address, patience=2) for k in range(2)]
    hub = pool.submit(outcome, lambda: peers[0].join({}, seconds=20))
    with connect(*split_address(address), seconds=10) as stranger:
        stranger.settimeout(10)
        assert stranger.recv(100) == b""
    peers[1].join({}, seconds=20)
    assert hub.result(20) is None
    leave(pool, peers)


def test_something_else_at_the_address_is_said(pool):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        waiting = pool.submit(outcome, lambda: Peers(1, 2, f"127.0.0.1:{port}").join({}, seconds=5))
        server.accept()[0].sendall(b"SSH-2.0-OpenSSH\n")
        assert "what answers there is no process of jaxlm" in str(waiting.result(20))


def test_what_is_not_done_in_time_ends_the_process(address, pool):
    lost = []

    def work(peer):
        peer.join({}, seconds=10)
        with peer.within("checkpoint save 7", 0.2 if peer.index else 5):
            time.sleep(1)

    assert all_of(pool, [Peers(k, 2, address, on_lost=lost.append) for k in range(2)], work) == [None, None]
    assert [str(error)[:57] for error in lost] == ["waited 0.2 s at 'checkpoint save 7' for all processes to "]


PROCESS = """
import sys, time
from jaxlm.parallel.peers import Peers
peers = Peers(int(sys.argv[1]), 3, sys.argv[2], patience=float(sys.argv[3]))
peers.join({}, seconds=60)
peers.where = "step 7"
print("joined", flush=True)
time.sleep(60)  # in a collective, for all that Python knows
"""


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_who_is_killed_or_frozen_takes_the_others_along(address, index, how):
    """By real processes: what hangs in a collective only its own end ends."""
    patience = 60 if how == "killed" else 4
    words = [sys.executable, "-c", PROCESS]
    processes = [
        subprocess.Popen([*words, str(k), address, str(patience)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for k in range(3)
    ]
    try:
        assert [process.stdout.readline() for process in processes] == ["joined\n"] * 3
        time.sleep(1.5)  # a beat tells where each is
        os.kill(processes[index].pid, 9 if how == "killed" else 19)
        for k in {0, 1, 2} - {index}:
            error = processes[k].communicate(timeout=30)[1]
            assert processes[k].returncode == 76, error
            assert f"process {index} (" in error
            assert "was lost at 'step 7'" in error
            assert ("no sign of life in 4 s" if how == "frozen" else "connection closed") in error
    finally:
        for process in processes:
            process.kill()
            process.communicate()
