"""The worker's log lines about events. A failed execution is information, not an error; values are never logged."""

from collections import Counter
from collections.abc import Sequence

from models.errors import BadEventError
from models.events import LifecycleEvent, Position, Status
from models.quality import QualityIssue
from streams.partition.observer import FoldedEvent, Observer
from streams.runtime.logs import EventLog
from streams.worker.measuring.counts import EventCounts

__all__ = ["LoggingObserver"]

# Until Python 3.12, access to a member of an enumeration takes as long as three calls.
_FAILED = Status.FAILED

_UNDECLARED_NAMES = 100
"""Names that are logged at most: a producer may send any number of them."""


_LISTED_ISSUES = 50
"""Most quality issues in one log line: an event may have tens of thousands. The change has all of them."""


class LoggingObserver(Observer):
    """Counts all events, and logs those that a person may look for later.

    Args:
        log: where the lines go.
        counted: the counts by processor; None: of no catalogue.

    Attributes:
        counted: the counts by processor.
    """

    def __init__(self, log: EventLog, counted: EventCounts | None = None) -> None:
        self.counted = counted or EventCounts({})
        self._others: Counter[str] = Counter()
        self._undeclared: set[str] = set()
        self._log = log

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of events by their result."""
        return {status.text: self.counted.of_status(status) for status in Status} | self._others

    def folded(self, events: Sequence[FoldedEvent]) -> None:
        """Count the events, including copies. Log a failed execution as information, and a quality issue as a warning.

        A copy is not logged, because its first copy was.
        """
        known, of = self.counted.known, self.counted.of
        for event, position, issues, is_copy in events:
            status = event.status
            counts = known.get(event.processor) or of(event.processor)
            if is_copy:
                counts.copies[status] += 1
            else:
                counts.by_status[status] += 1
                if status is _FAILED:
                    counts.failed(event.code)
                    self._say_failed(event, position)
            if issues:
                self._say_odd(event, position, issues)

    def changed(self, pending: Sequence[object]) -> None:
        """Count the changes."""
        self.counted.changed(pending)

    def _say_failed(self, event: LifecycleEvent, position: Position) -> None:
        self._say_at(
            position,
            "info",
            "execution failed, it is active and contributes no factors",
            application_id=event.application_id,
            processor=event.processor,
            execution_id=event.execution_id,
            attempt=event.attempt,
            code=event.code,
        )

    def _say_odd(self, event: LifecycleEvent, position: Position, issues: tuple[QualityIssue, ...]) -> None:
        self._others.update(f"quality_{issue}" for issue, _ in issues)
        self.counted.of(event.processor).issues.update(issue for issue, _ in issues)
        self._say_at(
            position,
            "warning",
            "quality issue",
            application_id=event.application_id,
            processor=event.processor,
            execution_id=event.execution_id,
            issues=[f"{issue}:{factor}" if factor else f"{issue}" for issue, factor in issues[:_LISTED_ISSUES]],
        )

    def undeclared(self, event: LifecycleEvent, position: Position) -> None:
        """Count the pair, and log each unknown processor name once: it may be misspelt."""
        self._others["undeclared_processor"] += 1
        name = event.processor
        if name not in self._undeclared and len(self._undeclared) < _UNDECLARED_NAMES:
            self._undeclared.add(name)
            self._say_at(
                position,
                "warning",
                "the catalogue does not have this processor, its factors are merged",
                processor=name,
                application_id=event.application_id,
            )

    def rejected(self, position: Position, error: BadEventError) -> None:
        """Count and log a dead letter."""
        self._others["dead_letter"] += 1
        self.counted.rejected(error)
        self._say_at(position, "warning", "dead letter", error_class=error.defect.value, reason=str(error))

    def republished(self, position: Position) -> None:  # noqa: ARG002 - nothing worth a line
        """Count a re-publication."""
        self._others["republished"] += 1
        self.counted.republished += 1

    def erased(self, position: Position) -> None:
        """Count and log the erasure of an application, without its id."""
        self._others["erased_application"] += 1
        self.counted.erased += 1
        self._say_at(position, "info", "application erased, its events are refused from here on")

    def adopted(self, position: Position, ruleset: str) -> None:
        """Log that another ruleset holds from this record on."""
        self.counted.adopted += 1
        self._say_at(position, "info", "ruleset adopted", ruleset=ruleset)

    def _say_at(self, position: Position, level: str, event: str, **members: object) -> None:
        """Log a line about a record, with its position."""
        self._log.say(
            level, event, **members, topic=position.topic, partition=position.partition, offset=position.offset
        )

    def batch_ended(self) -> None:
        """Write the log lines of the batch."""
        self._log.flush()
