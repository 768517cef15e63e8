"""Places where a fault test makes the worker kill or freeze itself. They do nothing unless the environment arms one.

A kill from outside would hit a window of some microseconds only by luck. The windows, and the conditions that must hold
after a kill in each, are described in ``docs/decisions/0006-fault-harness.md``.
"""

import itertools
import os
import signal
from typing import Final

__all__ = ["PATTERN", "PLACES", "arm", "reach"]

PLACES: Final = {
    "acquired": "earlier owners are fenced, the recovery has not begun",
    "restored": "some changelog records are in RocksDB, the recovery goes on",
    "offered": "half of a transaction is at the brokers: a large batch's offset, a small round's records",
    "produced": "records and offset are at the brokers, the transaction is not committed",
    "committed": "the transaction is committed, RocksDB is not written",
    "written": "RocksDB is written, the batch is not acknowledged",
    "announced": "the adoption of a ruleset is in the source, the partition has not gone over",
    "part": "a part of a partition has gone over to another ruleset, in Kafka and in RocksDB",
}

_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

PATTERN: Final = rf"^({'|'.join(PLACES)}):({'|'.join(_SIGNALS)}):[1-9][0-9]{{0,8}}$"
"""``PLACE:ACTION:N``: at the N-th passing of the place, once."""


class _FailPoint:
    def __init__(self, place: str, action: signal.Signals, passing: int) -> None:
        self._place = place
        self._action = action
        self._passing = passing
        # Several partitions may pass at the same time; taking the next number is atomic.
        self._passings = itertools.count(1)

    def reach(self, place: str) -> None:
        if place == self._place and next(self._passings) == self._passing:
            os.kill(os.getpid(), self._action)


_armed: _FailPoint | None = None


def arm(failpoint: str) -> None:
    """Arm a fail-point for the rest of this process.

    Args:
        failpoint: as :data:`PATTERN` describes it.
    """
    global _armed  # noqa: PLW0603 - one a process, as the signal is the process's
    place, action, passing = failpoint.split(":")
    _armed = _FailPoint(place, _SIGNALS[action], int(passing))


def reach(place: str) -> None:
    """Mark a place in the code; if it is not armed, nothing happens.

    Args:
        place: one of :data:`PLACES`.
    """
    if _armed is not None:
        _armed.reach(place)
