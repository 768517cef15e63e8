"""Cuts are written by threads of their own, while the next ones are read and planned.

Both databases' drivers let other threads run while the database works, so that a second core is used. Nothing depends
on it for being right: each cut is fenced by the place where its rows were left (:mod:`streams.sink.ownership`), so one
that follows a cut that was not written is refused by the database itself.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streams.sink.ownership import FencedError
from streams.sink.writing import Planned, Written

__all__ = ["Outcome", "Pipeline"]

_UNDER_WAY: Final = 2
"""Cuts of one thread at most: the one that is written, and the next one. It bounds memory."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cut.

    Attributes:
        planned: the cut.
        result: what was written, or why nothing was.
        took_s: how long it took, in seconds.
    """

    planned: Planned
    result: Written | Exception
    took_s: float = 0.0


class Pipeline:
    """Writes cuts, those of a partition in the order in which they come.

    Args:
        write: writes one cut, in any thread.
        threads: how many cuts are written at the same time, of different partitions.
    """

    def __init__(self, write: Callable[[Planned], Written], threads: int) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._waiting: list[deque[Planned]] = [deque() for _ in range(threads)]
        self._busy = [False] * threads
        self._finished: list[Outcome] = []
        self._ended = False
        # Daemons: a database that does not answer keeps no process from ending. What they have not committed is
        # nothing.
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"sink-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def has_room(self, partition: int) -> bool:
        """Whether a partition's next cut may come now."""
        number = partition % len(self._threads)
        with self._changed:
            return len(self._waiting[number]) + self._busy[number] < _UNDER_WAY

    def put(self, planned: Planned) -> None:
        """Have a cut written; there is room for it."""
        with self._changed:
            self._waiting[planned.cut.partition % len(self._threads)].append(planned)
            self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way; what has finished may wait to be taken."""
        with self._changed:
            return self._is_idle()

    def take_finished(self) -> list[Outcome]:
        """The outcomes since the last call, those of a partition in order.

        Cuts that waited behind an error have none: where it was not :class:`~streams.sink.ownership.FencedError`, they
        were dropped.
        """
        with self._changed:
            found, self._finished = self._finished, []
            return found

    def wait(self, timeout_s: float) -> None:
        """Wait until something has finished, for so long at most."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._finished) or self._is_idle(), timeout_s)

    def settle(self) -> None:
        """Wait until nothing is under way."""
        with self._changed:
            self._changed.wait_for(self._is_idle)

    def close(self, limit_s: float) -> None:
        """Begin nothing more, and wait for what is being written, for so long at most."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        deadline = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _is_idle(self) -> bool:
        return not any(self._busy) and not any(self._waiting)

    def _serve(self, number: int) -> None:
        waiting = self._waiting[number]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or bool(waiting))
                if self._ended:
                    return
                planned = waiting.popleft()
                self._busy[number] = True
            outcome = self._outcome(planned)
            with self._changed:
                self._busy[number] = False
                self._finished.append(outcome)
                if isinstance(outcome.result, Exception) and not isinstance(outcome.result, FencedError):
                    waiting.clear()
                self._changed.notify_all()

    def _outcome(self, planned: Planned) -> Outcome:
        since = time.monotonic()
        try:
            return Outcome(planned, self._write(planned), time.monotonic() - since)
        except Exception as error:  # noqa: BLE001 - it is raised again where outcomes are taken
            return Outcome(planned, error, time.monotonic() - since)
