"""The thread that answers: every path, clients that are slow or talk nonsense, and a process that is busy."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from models.errors import SettingsError
from streams.health.report import State
from streams.health.server import HealthServer, listening_at
from tests.unit.health.snapshots import large, partition, snapshot

LIMIT_S = 60.0


class Looking:
    """Makes the snapshot that a test wants next."""

    def __init__(self):
        self.next = snapshot(partition(0))
        self.error = None

    def __call__(self):
        if self.error is not None:
            raise self.error
        return self.next


@pytest.fixture(scope="module")
def looking():
    return Looking()


@pytest.fixture(scope="module")
def server(looking):
    return HealthServer(listening_at("127.0.0.1:0"), looking).start()


def asked(server, path, method="GET"):
    """Status, type and body."""
    request = urllib.request.Request(f"http://{server.address}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def said(server, request):
    """What comes back for bytes."""
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port)), LIMIT_S) as client:
        client.sendall(request)
        found = b""
        while more := client.recv(65_536):
            found += more
        return found


def test_each_path_has_its_answer(server, looking):
    """Text, JSON and the exposition; a partition that is stuck is a 503 in both forms."""
    looking.next = snapshot(partition(0))
    assert asked(server, "/livez")[0] == 200
    assert asked(server, "/readyz")[:2] == (200, "text/plain; charset=utf-8")
    looking.next = snapshot(partition(0, State.STUCK))
    status, kind, body = asked(server, "/readyz?format=json")
    assert (status, kind, json.loads(body)["healthy"]) == (503, "application/json", False)
    status, kind, body = asked(server, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert "# TYPE consolidator_events_total counter" in body


def test_what_is_not_there_and_what_is_not_allowed(server):
    """The answer says what there is."""
    status, _, body = asked(server, "/")
    assert status == 404
    assert "/livez, /readyz" in body
    assert asked(server, "/livez", "POST")[0] == 405
    assert said(server, b"HEAD /livez HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize("request_", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"GET /livez\r\n\r\n", b"x" * 9_000])
def test_nonsense_is_refused_and_the_next_one_is_answered(server, looking, request_):
    """Whatever comes, the thread goes on."""
    looking.next = snapshot(partition(0))
    assert said(server, request_).startswith(b"HTTP/1.1 400 ")
    assert asked(server, "/livez")[0] == 200


def test_slow_clients_and_such_as_say_nothing_hold_others_up_for_seconds_at_most(server, looking):
    """Connections without a request, and half a request: others are answered."""
    looking.next = snapshot(partition(0))
    host, port = server.address.split(":")
    silent = [socket.create_connection((host, int(port)), LIMIT_S) for _ in range(5)]
    slow = socket.create_connection((host, int(port)), LIMIT_S)
    slow.sendall(b"GET /livez HTTP/1.1\r\n")
    assert asked(server, "/livez")[0] == 200
    for client in (*silent, slow):
        client.close()
    assert asked(server, "/livez")[0] == 200


def test_a_mistake_of_ours_is_a_500_and_not_the_end(server, looking):
    """Kubernetes restarts the process at a 500, and a person reads what it is."""
    looking.error = KeyError("any")
    try:
        assert asked(server, "/livez")[::2] == (500, "a mistake of this program: KeyError\n")
    finally:
        looking.error = None
    assert asked(server, "/livez")[0] == 200


def test_an_address_that_is_taken_is_named_with_its_setting(server):
    """Nothing starts then: nobody would look at the right process."""
    with pytest.raises(SettingsError, match=r"CONSOLIDATOR_HEALTH_ADDRESS is .*where nothing can listen"):
        listening_at(server.address)


def test_a_busy_process_answers_before_its_threads_are_done(server, looking):
    """Threads that hold the interpreter for 20 ms at a time, as a recovery does: a scrape of 64 partitions is answered.

    How long it takes is measured by ``benchmarks/health.py``; here only that it does not wait for the threads' end.
    """
    looking.next = large()
    done = threading.Event()

    def busy():
        while not done.is_set():
            sum(range(1_000))

    threads = [threading.Thread(target=busy, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        since = time.monotonic()
        status, _, body = asked(server, "/metrics")
        assert time.monotonic() - since < LIMIT_S
    finally:
        done.set()
    assert status == 200
    assert body.count("consolidator_partition_state{") == 64 * len(State)
