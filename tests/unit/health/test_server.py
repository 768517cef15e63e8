"""The thread that answers: every path, clients that are slow or talk nonsense, and a process that is busy."""

import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress

import pytest

from models.errors import SettingsError
from streams.health.report import State
from streams.health.server import _MOST_CLIENTS as MOST_CLIENTS
from streams.health.server import _REQUEST_BYTES as REQUEST_BYTES
from streams.health.server import HealthServer, listening_at
from tests.unit.health.snapshots import large, partition, snapshot

LIMIT_S = 60.0

CLIENT_S = 0.5
"""How long a client is waited for where a test says so."""

BUSY_S = 0.02
"""The switch interval of a worker."""

SHORT_S = BUSY_S / 40
"""The switch interval while an answer is made."""


class Looking:
    """Makes the snapshot that a test wants next."""

    def __init__(self):
        self.next = snapshot(partition(0))
        self.error = None
        self.intervals = []

    def __call__(self):
        self.intervals.append(sys.getswitchinterval())
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


def connected(server):
    """A client of its own."""
    host, port = server.address.split(":")
    return socket.create_connection((host, int(port)), LIMIT_S)


def said(server, request):
    """What comes back for bytes."""
    with connected(server) as client:
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


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"x" * 9_000,
        b"GET //[ HTTP/1.1\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_the_next_one_is_answered(server, looking, request_):
    """Whatever comes, the thread goes on."""
    looking.next = snapshot(partition(0))
    assert said(server, request_).startswith(b"HTTP/1.1 400 ")
    assert asked(server, "/livez")[0] == 200


@pytest.fixture
def patient(monkeypatch):
    """Every client has as much time as a test, so whoever had to wait for one would not get an answer in time."""
    monkeypatch.setattr("streams.health.server._CLIENT_S", 2 * LIMIT_S)


@pytest.mark.parametrize("count", [1, MOST_CLIENTS, 2 * MOST_CLIENTS])
def test_clients_that_are_not_done_hold_nobody_up(server, looking, patient, count):
    """Half a request each, up to more than are waited for at a time: each question of others is answered."""
    looking.next = snapshot(partition(0))
    with ExitStack() as stack:
        slow = []
        for _ in range(count):
            slow.append(stack.enter_context(connected(server)))
            slow[-1].sendall(b"GET /livez HTTP/1.1\r\n")
            assert asked(server, "/livez")[0] == 200
        # The last ones are still waited for; those before the most of them were ended.
        slow[-1].sendall(b"\r\n")
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 200 ")
        if count > MOST_CLIENTS:
            assert slow[0].recv(1) == b""


def test_connections_that_say_nothing_hold_nobody_up(server, looking, patient):
    """As a browser opens them, or a scan of the ports."""
    looking.next = snapshot(partition(0))
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connected(server))
        assert asked(server, "/livez")[0] == 200
    assert asked(server, "/livez")[0] == 200


def test_a_client_that_drips_is_left_when_its_time_is_up(server, looking, monkeypatch):
    """Each byte comes in time, the request never: its time is that of the whole request."""
    monkeypatch.setattr("streams.health.server._CLIENT_S", CLIENT_S)
    looking.next = snapshot(partition(0))
    sent = 0
    with connected(server) as client, suppress(ConnectionError):
        client.settimeout(CLIENT_S / 5)
        while sent < REQUEST_BYTES:
            client.sendall(b"x")
            sent += 1
            with suppress(TimeoutError):
                assert client.recv(1) == b"", "it is closed without an answer"
                break
    # Bytes are counted: a machine that is busy makes everybody slow.
    assert 0 < sent <= 100


def test_a_client_that_takes_an_answer_in_drips_is_left(server, looking, monkeypatch):
    """It takes some each time, and never all: its time is that of the whole answer. Meanwhile others are answered."""
    looking.next = snapshot(partition(0))
    whole = 100_000_000
    with monkeypatch.context() as patch:
        patch.setattr("streams.health.server._CLIENT_S", CLIENT_S)
        patch.setattr("streams.health.server._response", lambda *_, **__: b"x" * whole)
        client = connected(server)
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        taken = [len(client.recv(65_536))]
    with client, suppress(ConnectionError):
        assert asked(server, "/livez")[0] == 200
        while more := client.recv(65_536):
            taken.append(len(more))
            time.sleep(CLIENT_S / 10)
    assert 0 < sum(taken) < whole


def test_what_one_request_causes_is_not_the_end(server, looking, monkeypatch):
    """Whatever is wrong with an answer: this client gets none, and the next one does."""
    looking.next = snapshot(partition(0))

    def broken(*_, **__):
        raise KeyError("any")

    with monkeypatch.context() as patch:
        patch.setattr("streams.health.server._response", broken)
        assert said(server, b"GET /livez HTTP/1.1\r\n\r\n") == b""
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


def wait_until_undisturbed():
    """Until the server's thread has given the switch interval back, which it does after the client has its answer."""
    deadline = time.monotonic() + LIMIT_S
    while sys.getswitchinterval() < 2 * SHORT_S:
        assert time.monotonic() < deadline, "the switch interval stays short"


@pytest.fixture
def busy():
    """Threads that hold the interpreter for 20 ms at a time, as a recovery does."""
    done = threading.Event()
    wait_until_undisturbed()

    def hold():
        while not done.is_set():
            sum(range(1_000))

    before = sys.getswitchinterval()
    sys.setswitchinterval(BUSY_S)
    threads = [threading.Thread(target=hold, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join(LIMIT_S)
    wait_until_undisturbed()
    sys.setswitchinterval(before)


def test_a_busy_process_answers_promptly_and_is_left_alone_afterwards(server, looking, busy):
    """A scrape of 64 partitions: its threads have to let go of the interpreter 40 times as often, and then no more.

    How long it takes is measured by ``benchmarks/health.py``.
    """
    looking.next = large()
    looking.intervals.clear()
    status, _, body = asked(server, "/metrics")
    assert status == 200
    assert body.count("consolidator_partition_state{") == 64 * len(State)
    assert looking.intervals == [pytest.approx(SHORT_S)]
    wait_until_undisturbed()
    assert sys.getswitchinterval() == pytest.approx(BUSY_S)


def test_a_client_that_is_waited_for_does_not_slow_a_busy_process(server, looking, busy):
    """Half a request takes seconds of the server's thread, and nothing of the others' speed."""
    looking.next = snapshot(partition(0))
    seen = []
    with connected(server) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\n")
        client.settimeout(0.01)
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            seen.append(sys.getswitchinterval())
            with suppress(TimeoutError):
                assert client.recv(1) == b"", "it is closed without an answer"
                break
    long = sum(interval == pytest.approx(BUSY_S) for interval in seen)
    assert long > len(seen) / 2
