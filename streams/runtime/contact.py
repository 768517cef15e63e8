"""Whether Kafka answers: every client of a process reports here, and a change is logged in one line.

Clients log every failed attempt to connect, some fifty lines a second, and nothing when one succeeds again. Here they
report the result of each attempt, and once a second a change is logged.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import structlog

__all__ = ["LOOK_S", "KafkaContact", "Lost"]

LOOK_S: Final = 1.0
"""How often :meth:`KafkaContact.look` is to be called, in seconds."""

_LOST_S: Final = 2.0
"""How long a broker has to fail before it counts as lost: a closed connection is normally open again at once."""

_SILENT_S: Final = 15.0
"""How long a request may be without an answer. A leader waits 10 s for its replicas."""

_REMINDER_S: Final = 30.0
_FORGOTTEN_S: Final = 60.0
"""After how many seconds without a request a broker is forgotten: its partitions have moved to other brokers."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Broker:
    """The state of a broker.

    Attributes:
        turned_to: when a client last connected or sent a request.
        asked: since when a request has been without an answer, while no other answer came; None: there is none.
        failing: since when it fails; None: it does not.
        reason: the reason, in a client's words.
    """

    turned_to: float
    asked: float | None = None
    failing: float | None = None
    reason: str = "no answer"

    def lost_since(self, now: float) -> float | None:
        if self.failing is not None and now - self.failing >= _LOST_S:
            return self.failing
        if self.asked is not None and now - self.asked >= _SILENT_S:
            return self.asked
        return None


@dataclass(frozen=True, slots=True)
class Lost:
    """Brokers that do not answer.

    Attributes:
        since_s: for how long the first of them has not answered, in seconds.
        brokers: their addresses.
        reason: of one of them, in a client's words.
    """

    since_s: float
    brokers: tuple[str, ...]
    reason: str


class KafkaContact:
    """Takes the reports of all Kafka clients of a process, from any thread, and logs when brokers are lost and back.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._brokers: dict[str, _Broker] = {}
        self._lost_since: float | None = None
        self._told = 0.0

    def asked(self, broker: str) -> None:
        """A request was sent to a broker (``host:port``); normally it is answered at once."""
        now = self._clock()
        with self._lock:
            found = self._broker(broker, now)
            if found.asked is None:
                found.asked = now

    def answered(self, broker: str) -> None:
        """A broker has answered."""
        now = self._clock()
        with self._lock:
            found = self._broker(broker, now)
            found.asked = found.failing = None

    def left(self, broker: str) -> None:
        """No client waits for a broker's answer any more."""
        now = self._clock()
        with self._lock:
            self._broker(broker, now).asked = None

    def failed(self, broker: str, reason: str) -> None:
        """A broker could not be reached, or has not answered in time."""
        now = self._clock()
        with self._lock:
            found = self._broker(broker, now)
            found.asked = None
            found.reason = reason
            if found.failing is None:
                found.failing = now

    def lost(self) -> Lost | None:
        """The brokers that are lost now; None: all answer. May be called from any thread."""
        now = self._clock()
        with self._lock:
            lost = {name: since for name, each in self._brokers.items() if (since := each.lost_since(now)) is not None}
            if not lost:
                return None
            return Lost(now - min(lost.values()), tuple(sorted(lost)), self._brokers[min(lost)].reason)

    def look(self) -> None:
        """Log changes; to be called every second."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            lost = {name: since for name, each in self._brokers.items() if (since := each.lost_since(now)) is not None}
            reasons = [self._brokers[name].reason for name in lost]
            others = len(self._brokers) - len(lost)
        if lost and self._lost_since is None:
            self._lost_since = min(lost.values())
            self._told = now
            _log.warning("Kafka is lost", **self._state(lost, others, now), error=reasons[0])
        elif lost and now - self._told >= _REMINDER_S:
            self._told = now
            _log.warning("Kafka is still lost", **self._state(lost, others, now), error=reasons[0])
        elif not lost and self._lost_since is not None:
            _log.warning("Kafka is back", lost_for_s=round(now - self._lost_since, 1))
            self._lost_since = None

    def _broker(self, name: str, now: float) -> _Broker:
        found = self._brokers.setdefault(name, _Broker(now))
        found.turned_to = now
        return found

    def _forget(self, now: float) -> None:
        for name in [name for name, each in self._brokers.items() if now - each.turned_to >= _FORGOTTEN_S]:
            del self._brokers[name]

    def _state(self, lost: dict[str, float], others: int, now: float) -> dict[str, object]:
        waited_s = now - (self._lost_since or now)
        since = datetime.now(UTC) - timedelta(seconds=waited_s)
        return {
            "waiting_for": "an answer of " + ", ".join(sorted(lost)),
            "others_answer": others > 0,
            "since": since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "waited_s": round(waited_s, 1),
        }
