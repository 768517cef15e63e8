"""What a sink counts. No lock: the sink's own thread writes, and any thread reads."""

from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

from models.errors import InfrastructureError
from streams.health.figures import DURATION_BOUNDS_S, Histogram
from streams.health.report import Labelled
from streams.runtime.contact import KafkaContact
from streams.sink.pipeline import Outcome
from streams.sink.writing import Written

__all__ = ["SinkFigures"]

_KAFKA: Final = "Kafka"
"""The name of all brokers together: the sink's questions go to whichever of them leads."""

_T = TypeVar("_T")


class SinkFigures:
    """Counts cuts, and knows what the sink waits for.

    Args:
        contact: takes reports of whether Kafka answers; None: nobody wants to know.
        clock: the time in seconds.

    Attributes:
        clock: the time in seconds.
        beat: called each time that the sink's loop goes round.
        waits_for: what the loop waits for at this moment, if it may take any time; None: nothing.
        database_lost_at: since when the database does not answer; None: it answers, or nothing is asked of it.
        moved_at: when a cut of each partition was last written, or the partition taken over.
        cuts: cuts written.
        events: events written.
        changes: changes written.
        letters: dead letters written.
        quarantined: rows that the database refused.
        rows: rows written, by table.
        cut_seconds: how long a cut took.
    """

    def __init__(self, contact: KafkaContact | None = None, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.beat: Callable[[], object] = lambda: None
        self.waits_for: str | None = None
        self.database_lost_at: float | None = None
        self.moved_at: dict[int, float] = {}
        self.cuts = 0
        self.events = 0
        self.changes = 0
        self.letters = 0
        self.quarantined = 0
        self.rows: Counter[str] = Counter()
        self.cut_seconds = Histogram(DURATION_BOUNDS_S)
        self._contact = contact or KafkaContact()

    def turns(self) -> None:
        """The loop goes round."""
        self.waits_for = None
        self.beat()

    def asking(self, question: Callable[[], _T]) -> _T:
        """Ask Kafka something, and report whether it answers.

        Args:
            question: asks, and returns the answer.

        Raises:
            InfrastructureError: from the question: there is none.
        """
        self.waits_for = "an answer of Kafka"
        self._contact.asked(_KAFKA)
        try:
            found = question()
        except InfrastructureError as error:
            self._contact.failed(_KAFKA, str(error))
            raise
        self._contact.answered(_KAFKA)
        self.waits_for = None
        return found

    def asks_database(self) -> None:
        """The loop itself waits for the database."""
        self.waits_for = "the database"

    def database_lost(self) -> None:
        """The database does not answer."""
        self.waits_for = "the database"
        if self.database_lost_at is None:
            self.database_lost_at = self.clock()

    def database_answered(self) -> None:
        """The database has answered."""
        self.waits_for = self.database_lost_at = None

    def database_unasked(self) -> None:
        """Nothing is asked of the database: whether it answers is no matter of this sink's."""
        self.database_lost_at = None

    def taken_over(self, partition: int) -> None:
        """A partition was taken over, so the database answers."""
        self.database_answered()
        self.moved_at[partition] = self.clock()

    def left(self, partition: int) -> None:
        """A partition is gone."""
        self.moved_at.pop(partition, None)

    def written(self, outcome: Outcome) -> None:
        """A cut was written."""
        planned, result = outcome.planned, outcome.result
        assert isinstance(result, Written)  # noqa: S101 - the caller has looked
        self.moved_at[planned.cut.partition] = self.clock()
        self.cuts += 1
        self.cut_seconds.add(outcome.took_s)
        self.events += result.events
        self.changes += result.changes
        letters = sum(row is not None for row in planned.letters)
        self.letters += letters
        self.quarantined += result.refused
        changes = planned.changes
        self.rows.update(
            lifecycle_events=result.events,
            factor_changes=len(changes.journal),
            consolidations=len(changes.results),
            factors=len(changes.factors),
            dead_letters=letters,
        )

    def values(self) -> dict[str, list[Labelled]]:
        """The metrics that follow."""
        lost_at = self.database_lost_at
        return {
            "consolidator_sink_cuts_total": [((), float(self.cuts))],
            "consolidator_sink_rows_total": [((table,), float(number)) for table, number in dict(self.rows).items()],
            "consolidator_sink_quarantined_total": [((), float(self.quarantined))],
            "consolidator_sink_database_lost_seconds": [((), 0.0 if lost_at is None else self.clock() - lost_at)],
        }
