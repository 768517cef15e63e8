"""A worker that counts nothing by processor and measures no round: what it would be without probes and metrics.

Run as a program it takes the arguments of ``consolidator``.
"""

from collections.abc import Sequence
from typing import Any

from models.events import Status
from streams.partition.observer import FoldedEvent
from streams.runtime.logs import EventLog
from streams.worker.logging_observer import LoggingObserver
from streams.worker.measuring.rounds import RoundFigures

__all__ = ["Uncounted", "remove_counting"]

_FAILED = Status.FAILED


class Uncounted(LoggingObserver):
    """Counts events by status and logs them, as workers did before they had metrics."""

    def __init__(self, log: EventLog, _counted: object = None) -> None:
        super().__init__(log)
        self._by_status = [0] * (max(Status) + 1)

    def folded(self, events: Sequence[FoldedEvent]) -> None:
        """Count and log."""
        by_status = self._by_status
        for event, position, issues, is_copy in events:
            status = event.status
            by_status[status] += 1
            if status is _FAILED and not is_copy:
                self._say_failed(event, position)
            if issues:
                self._say_odd(event, position, issues)

    def changed(self, pending: Sequence[object]) -> None:
        """Nothing."""


def _nothing(*_: Any, **__: Any) -> None:
    """In place of what counts."""


def remove_counting() -> None:
    """Take the counting out of this process."""
    from streams.worker import runner  # noqa: PLC0415 - Faust, which a measurement without Kafka need not import

    vars(runner)["LoggingObserver"] = Uncounted
    RoundFigures.committed = _nothing  # type: ignore[method-assign]
    vars(runner)["keep_time"] = _nothing
    vars(runner)["call_regularly"] = _nothing


if __name__ == "__main__":
    from streams.cli.main import main

    remove_counting()
    main()
