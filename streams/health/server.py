"""A thread that answers ``GET /livez``, ``/readyz`` and ``/metrics``, one request after the other.

Python lets one thread run at a time. Each time that this one waits for the network or a file, it has to get the
interpreter back from threads that are busy, which takes up to the switch interval. So a request takes as few steps as
possible, and the interval is short while a step may wait. It is not while the text is made, which waits for nothing and
takes a few milliseconds: with a short interval the busy threads would get two thirds of them. Nor is it while a client
is waited for: the worker's speed is no client's to take.
"""

import ipaddress
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

import structlog

from models.errors import SettingsError
from streams.health.exposition import metrics
from streams.health.probes import TEXT, Answer, livez, readyz
from streams.health.promptness import promptly
from streams.health.report import Snapshot

__all__ = ["HealthServer", "listening_at"]

_VARIABLE: Final = "CONSOLIDATOR_HEALTH_ADDRESS"

_CLIENT_S: Final = 2
"""How long a client may take to send its whole request, and then to take the whole answer. Prometheus and Kubernetes
send theirs with the connection."""

_REQUEST_BYTES: Final = 8192
_BACKLOG: Final = 64

_DRAIN_BYTES: Final = 65_536

_log = structlog.get_logger()


def listening_at(address: str) -> socket.socket:
    """A socket that listens.

    Args:
        address: ``host:port``, or ``[address]:port``; port 0: any free one.

    Raises:
        SettingsError: it cannot be listened at; the message names the setting.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_DEFER_ACCEPT"):
                # A connection is accepted when its request is there: browsers open some that they may never use.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _CLIENT_S)
            listener.bind(place)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsError(
            f"{_VARIABLE} is {address}, where nothing can listen: {error.strerror}. Give another address, or leave it "
            "unset"
        ) from error
    return listener


class HealthServer:
    """Answers until the process ends.

    Args:
        listener: where.
        look: makes a snapshot; called for each request, and never by two threads at once.
    """

    def __init__(self, listener: socket.socket, look: Callable[[], Snapshot]) -> None:
        self._listener = listener
        self._look = look

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        host, port = self._listener.getsockname()[:2]
        return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"  # noqa: PLR2004 - IP

    def start(self) -> Self:
        """Begin to answer, in a thread of its own."""
        threading.Thread(target=self._serve, name="health", daemon=True).start()
        _log.info("health is served", address=self.address)
        return self

    def _serve(self) -> None:
        # The main thread, or a thread for signals, takes them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            try:
                client, _ = self._listener.accept()
            except ConnectionError:
                continue
            except OSError as error:
                # No descriptor is free, for instance. The thread must not end, and must not run hot.
                _log.warning("a request about health could not be taken", error=os.strerror(error.errno or 0))
                threading.Event().wait(1.0)
                continue
            self._serve_one(client)

    def _serve_one(self, client: socket.socket) -> None:
        """Answer a client, and let nothing that it causes end the thread: others would get no answer any more."""
        try:
            with client:
                self._answer(client)
        except OSError:
            # It has gone, or takes too long.
            return
        except Exception as error:  # noqa: BLE001 - a thread that ends may end the process, because of one request
            _log.warning("a request about health could not be answered", error=repr(error), exc_info=error)

    def _answer(self, client: socket.socket) -> None:
        request = _request(client)
        answer = _bad_request() if request is None else self._answer_to(*request)
        response = _response(answer, with_body=request is None or request[0] != "HEAD")
        _send(client, response)
        client.shutdown(socket.SHUT_WR)

    def _answer_to(self, method: str, target: str) -> Answer:
        """The answer to a request.

        Args:
            method: of HTTP.
            target: the path, with its parameters.
        """
        try:
            parts = urlsplit(target)
        except ValueError:
            # Two slashes begin a host, and one like this there cannot be: //[
            return _bad_request()
        if method not in {"GET", "HEAD"}:
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered")
        as_json = parse_qs(parts.query).get("format") == ["json"]
        match parts.path:
            case "/livez":
                return self._made(lambda snapshot: livez(snapshot, as_json=as_json))
            case "/readyz":
                return self._made(lambda snapshot: readyz(snapshot, as_json=as_json))
            case "/metrics":
                return self._made(metrics)
            case _:
                return _plain(HTTPStatus.NOT_FOUND, "there are /livez, /readyz (both with ?format=json) and /metrics")

    def _made(self, make: Callable[[Snapshot], Answer]) -> Answer:
        try:
            with promptly():
                snapshot = self._look()
            return make(snapshot)
        except Exception as error:  # noqa: BLE001 - whoever asks has to get an answer, and the thread has to go on
            _log.warning("health cannot be told", error=repr(error), exc_info=error)
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, f"a mistake of this program: {type(error).__name__}")


def _request(client: socket.socket) -> tuple[str, str] | None:
    """The method and the target; None: it is no request of HTTP.

    Raises:
        TimeoutError: it has not come in time.
    """
    until = monotonic() + _CLIENT_S
    received = b""
    while b"\r\n\r\n" not in received:
        try:
            with promptly():
                more = client.recv(_DRAIN_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            _wait(client, select.POLLIN, until)
            continue
        received += more
        if not more or len(received) > _REQUEST_BYTES:
            return None
    words = received.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1]) if len(words) == 3 and words[2].startswith("HTTP/1.") else None  # noqa: PLR2004 - words


def _send(client: socket.socket, response: bytes) -> None:
    """Send a whole answer.

    Raises:
        TimeoutError: the client has not taken it in time.
    """
    until = monotonic() + _CLIENT_S
    left = memoryview(response)
    while left:
        try:
            with promptly():
                left = left[client.send(left, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            _wait(client, select.POLLOUT, until)


def _wait(client: socket.socket, event: int, until: float) -> None:
    """Wait until a client lets something be done.

    The time is that of all its steps together: one that sends a byte now and then would hold up everybody else.

    Args:
        client: the client.
        event: what is waited for, in the words of ``poll``.
        until: when its time is up.

    Raises:
        TimeoutError: its time is up.
    """
    left_s = until - monotonic()
    poll = select.poll()
    poll.register(client, event)
    if left_s <= 0 or not poll.poll(left_s * 1000):
        raise TimeoutError


def _response(answer: Answer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if with_body else b"")


def _bad_request() -> Answer:
    return _plain(HTTPStatus.BAD_REQUEST, "a request of HTTP is wanted")


def _plain(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, TEXT, f"{text}\n".encode())
