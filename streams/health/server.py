"""A thread that answers ``GET /livez``, ``/readyz`` and ``/metrics``, one request after the other.

It never waits for one client alone: a request that has not come yet, or an answer that is not taken, holds nobody up.

Python lets one thread run at a time. Each time that this one waits for the network or a file, it has to get the
interpreter back from threads that are busy, which takes up to the switch interval. So a request takes as few steps as
possible, and the interval is short while a step may wait. It is not while the text is made, which waits for nothing and
takes a few milliseconds: with a short interval the busy threads would get two thirds of them. Nor is it while a client
is waited for: the worker's speed is no client's to take.
"""

import ipaddress
import os
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
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

_MOST_CLIENTS: Final = 64
"""Connections that are waited for at a time. One more ends the one whose time is up first."""

_DRAIN_BYTES: Final = 65_536

_Dialogue = Generator[tuple[int, float], None, None]
"""A request and its answer. It yields what it waits for, in the words of ``selectors``, and until when."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A client that is waited for.

    Attributes:
        client: its connection.
        dialogue: goes on when the client lets something be done.
        until: when its time is up.
    """

    client: socket.socket
    dialogue: _Dialogue
    until: float


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
        self._listener.setblocking(False)  # noqa: FBT003 - the signature of sockets
        # It needs no descriptor: others may have taken all of them.
        selector = selectors.PollSelector()
        selector.register(self._listener, selectors.EVENT_READ)
        while True:
            self._turn(selector)

    def _turn(self, selector: selectors.BaseSelector) -> None:
        """Wait until a client lets something be done, or the time of one is up."""
        until = min((each.until for each in _clients(selector)), default=None)
        ready = [key for key, _ in selector.select(None if until is None else max(0.0, until - monotonic()))]
        for key in ready:
            if key.data is not None:
                selector.unregister(key.fileobj)
                self._advance(selector, key.data.client, key.data.dialogue)
        # After the others: a new client may end one of them.
        if any(key.data is None for key in ready):
            self._accept(selector)
        for each in _clients(selector):
            # The time is that of all steps together: one that sends a byte now and then would stay for ever.
            if each.until <= monotonic():
                _leave(selector, each)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        """Take a client, if there is one."""
        try:
            with promptly():
                client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # No descriptor is free, for instance. The thread must not end, and must not run hot.
            _log.warning("a request about health could not be taken", error=os.strerror(error.errno or 0))
            threading.Event().wait(1.0)
            return
        waiting = _clients(selector)
        if len(waiting) >= _MOST_CLIENTS:
            _leave(selector, min(waiting, key=lambda each: each.until))
        self._advance(selector, client, self._answer(client))

    def _advance(self, selector: selectors.BaseSelector, client: socket.socket, dialogue: _Dialogue) -> None:
        """Go on with a client, and let nothing that it causes end the thread: others would get no answer any more."""
        try:
            event, until = next(dialogue)
        except (StopIteration, OSError):
            # It has its answer, or has gone.
            client.close()
        except Exception as error:  # noqa: BLE001 - a thread that ends may end the process, because of one request
            _log.warning("a request about health could not be answered", error=repr(error), exc_info=error)
            client.close()
        else:
            selector.register(client, event, _Waiting(client, dialogue, until))

    def _answer(self, client: socket.socket) -> _Dialogue:
        request = yield from _request(client)
        answer = _bad_request() if request is None else self._answer_to(*request)
        response = _response(answer, with_body=request is None or request[0] != "HEAD")
        yield from _send(client, response)
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


def _clients(selector: selectors.BaseSelector) -> list[_Waiting]:
    return [key.data for key in selector.get_map().values() if key.data is not None]


def _leave(selector: selectors.BaseSelector, waiting: _Waiting) -> None:
    selector.unregister(waiting.client)
    waiting.client.close()


def _request(client: socket.socket) -> Generator[tuple[int, float], None, tuple[str, str] | None]:
    """The method and the target; None: it is no request of HTTP."""
    until = monotonic() + _CLIENT_S
    received = b""
    while b"\r\n\r\n" not in received:
        try:
            with promptly():
                more = client.recv(_DRAIN_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            yield selectors.EVENT_READ, until
            continue
        received += more
        if not more or len(received) > _REQUEST_BYTES:
            return None
    words = received.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1]) if len(words) == 3 and words[2].startswith("HTTP/1.") else None  # noqa: PLR2004 - words


def _send(client: socket.socket, response: bytes) -> _Dialogue:
    """Send a whole answer."""
    until = monotonic() + _CLIENT_S
    left = memoryview(response)
    while left:
        try:
            with promptly():
                left = left[client.send(left, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            yield selectors.EVENT_WRITE, until


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
