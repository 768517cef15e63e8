"""The health of several processes under one address: the parent asks its children through pairs of sockets.

A request is a number, and the answer repeats it. A child that hangs is not waited for twice: while its answer is
missing it gets no second request, and its last answer stands in for it, with its age. So does the last answer of a
child that makes a mistake when it looks: its counters must not fall.
"""

import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

import msgspec
import structlog

from streams.health.merging import merged
from streams.health.promptness import promptly
from streams.health.report import Check, Snapshot

__all__ = ["Children", "answer_parent"]

_HEAD: Final = struct.Struct("!QI")
"""The number of the request, and the size of what follows."""

_LIMIT_S: Final = 0.5
"""How long all children together are waited for. A probe of Kubernetes waits a second."""

_DEAD_S: Final = 15.0
"""How long a child that has answered before may be silent."""

_START_S: Final = 120.0
"""How long it may be silent before its first answer, from the first question on: Faust is imported."""

_READ_BYTES: Final = 262_144

_log = structlog.get_logger()


def answer_parent(link: socket.socket, look: Callable[[], Snapshot]) -> None:
    """Answer the parent's requests, in a thread of its own, until it closes its end.

    Args:
        link: this process's end.
        look: makes a snapshot.
    """

    def serve() -> None:
        encode = msgspec.msgpack.Encoder().encode
        with suppress(OSError):
            while len(request := link.recv(_HEAD.size, socket.MSG_WAITALL)) == _HEAD.size:
                number, _ = _HEAD.unpack(request)
                with promptly():
                    body = _encoded(look, encode)
                link.sendall(_HEAD.pack(number, len(body)) + body)

    threading.Thread(target=serve, name="health", daemon=True).start()


def _encoded(look: Callable[[], Snapshot], encode: Callable[[Snapshot], bytes]) -> bytes:
    """A snapshot; after a mistake one without a role, which has nothing but the check that says so."""
    try:
        return encode(look())
    except Exception as error:  # noqa: BLE001 - a mistake here must not look like a process that hangs
        _log.warning("health cannot be told", error=repr(error), exc_info=error)
        says = f"a mistake of this program: {type(error).__name__}"
        # Deadly, as the 500 is with which a single process answers.
        return encode(Snapshot("", "", "", "", [Check("looking", ok=False, says=says, deadly=True, needed=True)]))


class _Child:
    """The parent's view of one child.

    Args:
        number: its number.
        link: the parent's end.

    Attributes:
        number: its number.
        link: the parent's end.
        has_answered: whether it has ever answered.
        silent_since: since when an answer is missing; None: none is.
    """

    def __init__(self, number: int, link: socket.socket) -> None:
        self.number = number
        self.link = link
        self.has_answered = False
        self.silent_since: float | None = None
        self._latest: Snapshot | None = None
        self._mistakes: list[Check] = []
        self._waits_for: int | None = None
        self._received = b""
        link.setblocking(False)  # noqa: FBT003 - the signature of sockets

    def ask(self, number: int, now: float) -> None:
        """Send a request, unless an answer is missing."""
        if self._waits_for is not None:
            return
        if not self.has_answered and self.silent_since is None:
            # Nobody may have asked for hours. Before that it was not silent, and may have started long ago.
            self.silent_since = now
        with suppress(OSError):
            # Otherwise it has ended, and everything is about to end.
            if self.link.send(_HEAD.pack(number, 0)) == _HEAD.size:
                self._waits_for = number
                self.silent_since = now if self.silent_since is None else self.silent_since

    def shown(self, empty: Snapshot) -> Snapshot:
        """What is known of it: its last picture of itself, and that it could not make another one, if that is so.

        Args:
            empty: the picture of a child that has made none yet.
        """
        latest = self._latest or empty
        return msgspec.structs.replace(latest, checks=[*latest.checks, *self._mistakes])

    def hear(self, decode: Callable[[bytes], Snapshot]) -> int | None:
        """Take what has come; return the number of the request that is answered by it, if any.

        Raises:
            EOFError: the child has closed its end.
        """
        try:
            more = self.link.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            more = b""
        if not more:
            raise EOFError
        self._received += more
        if len(self._received) < _HEAD.size:
            return None
        number: int
        number, size = _HEAD.unpack_from(self._received)
        end = _HEAD.size + size
        if len(self._received) < end:
            return None
        answer, self._received = decode(self._received[_HEAD.size : end]), self._received[end:]
        self.has_answered = True
        self.silent_since = self._waits_for = None
        if answer.role:
            self._latest, self._mistakes = answer, []
        else:
            self._mistakes = answer.checks
        return number


class Children:
    """Asks all children at once, and makes one snapshot of their answers.

    Args:
        links: the parent's ends, in the order of the processes' numbers.
        empty: the snapshot while no child has answered yet.
        limit_s: how long all of them together are waited for.
        clock: the time in seconds.
    """

    def __init__(
        self,
        links: Sequence[socket.socket],
        empty: Snapshot,
        *,
        limit_s: float = _LIMIT_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._empty = empty
        self._children = [_Child(number, link) for number, link in enumerate(links)]
        self._decode = msgspec.msgpack.Decoder(Snapshot).decode
        self._asked = 0

    def look(self) -> Snapshot:
        """The children's health as one."""
        self._ask_all()
        known = [(child.number, child.shown(self._empty)) for child in self._children if child.has_answered]
        found = merged(known or [(0, self._empty)])
        found.checks = [*found.checks, self._check(self._clock())]
        return found

    def _ask_all(self) -> None:
        """Ask every child, and take the answers that come in time."""
        self._asked += 1
        waiting = {child.link.fileno(): child for child in self._children}
        poll = select.poll()
        for descriptor, child in waiting.items():
            child.ask(self._asked, self._clock())
            poll.register(descriptor, select.POLLIN)
        deadline = monotonic() + self._limit_s
        while waiting and (left := deadline - monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                if self._has_said_all(waiting[descriptor]):
                    poll.unregister(descriptor)
                    del waiting[descriptor]

    def _has_said_all(self, child: _Child) -> bool:
        """Take what has come from a child; return whether nothing more is waited for."""
        try:
            answered = child.hear(self._decode)
        except EOFError:
            return True
        if answered is not None and answered != self._asked:
            # A late answer to an earlier request: now it is asked again.
            child.ask(self._asked, self._clock())
        return answered == self._asked

    def _check(self, now: float) -> Check:
        """Whether all processes answer."""
        silent = {child: now - child.silent_since for child in self._children if child.silent_since is not None}
        for child, silent_s in silent.items():
            if silent_s > (_DEAD_S if child.has_answered else _START_S):
                said = f"process {child.number} has not answered for {silent_s:.0f} s: it hangs"
                return Check("processes", ok=False, says=said, deadly=True, needed=True)
        for child, silent_s in silent.items():
            if not child.has_answered:
                return Check("processes", ok=False, says=f"process {child.number} is starting", needed=True)
            said = f"process {child.number} has not answered for {silent_s:.0f} s, its last answer is shown"
            return Check("processes", ok=True, says=said, deadly=True, needed=True)
        return Check("processes", ok=True, says=f"all {len(self._children)} answer", deadly=True, needed=True)
