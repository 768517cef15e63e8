"""Questions about one application; its log is read only once, from Kafka or from a database."""

from collections.abc import Callable, Mapping
from typing import Final

from models.errors import ContractError
from streams.audit.history.as_of import AsOf, known_as_of, true_as_of
from streams.audit.history.timeline import Entry, timeline
from streams.replay.application_log import ApplicationLog, read_application, without_forgotten
from streams.replay.source_log import source_reader
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.positions import AtOffset, End, Span
from topics.records.record import Record

__all__ = ["Inquiry", "Moment", "end_after", "milliseconds_after", "read_inquiry"]

Moment = AtOffset | int | End
"""How much of the log an answer uses: up to an offset, up to a time in microseconds since the epoch (both included), or
all."""

_MICROS_A_MILLISECOND: Final = 1_000


class Inquiry:
    """Answers questions about one application.

    Args:
        log: all records under its keys, without those from before its erasure.
        ends: of each moment of a *known* question, the offset that limits the log: it is not included.
        topics: the declared topics.
        book: the rules of every offset.
        max_event_bytes: larger events are dead letters.

    Attributes:
        log: likewise.
    """

    def __init__(
        self,
        log: ApplicationLog,
        ends: Mapping[Moment, int],
        topics: Topics,
        book: RuleBook,
        *,
        max_event_bytes: int,
    ) -> None:
        self.log = log
        self._ends = ends
        self._topics = topics
        self._book = book
        self._max_event_bytes = max_event_bytes

    def known(self, moment: Moment) -> AsOf:
        """The state from all events that the log held at one of the given moments."""
        return self.known_before(self._ends[moment])

    def known_before(self, end: int) -> AsOf:
        """The state from all events before an offset."""
        return known_as_of(self.log.cut(end), self._topics, self._book, max_event_bytes=self._max_event_bytes)

    def true(self, at: int, known: Moment) -> AsOf:
        """The state from all events that had happened by a time, of those in the log at one of the given moments."""
        return true_as_of(
            self.log.cut(self._ends[known]), self._topics, self._book, at, max_event_bytes=self._max_event_bytes
        )

    def timeline(self) -> list[Entry]:
        """Every record, with its fate and the changes that it caused."""
        return timeline(self.log, self._topics, self._book, max_event_bytes=self._max_event_bytes)


def read_inquiry(
    config: Mapping[str, str | int],
    topics: Topics,
    book: RuleBook,
    application_id: str,
    *,
    max_event_bytes: int,
    moments: tuple[Moment, ...] = (),
    on_progress: Callable[[int, int], None] = lambda _, __: None,
) -> Inquiry:
    """An inquiry about an application's log in Kafka, read without a consumer group.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        book: the rules of every offset.
        application_id: the application.
        max_event_bytes: larger events are dead letters.
        moments: the moments of all *known* questions.
        on_progress: called with how many offsets are done, and how many there are.

    Raises:
        ContractError: the topic or the offset is not there, or the offset is another partition's.
        InfrastructureError: Kafka does not answer.
    """
    with source_reader(config, topics, application_id) as reader:
        ((partition, span),) = reader.spans.items()
        ends = {
            one: end_after(one, reader.topic, application_id, partition, span)
            if isinstance(one, AtOffset)
            else span.end
            for one in moments
        }
        # A record of exactly the given time has to be included: the log ends at the first record of a later time,
        # of any application.
        times = {one: milliseconds_after(one) for one in moments if isinstance(one, int)}

        def look(record: Record) -> None:
            for one in [moment for moment, later in times.items() if record.timestamp_ms >= later]:
                ends[one] = record.offset
                del times[one]

        log = read_application(
            reader,
            topics,
            application_id,
            on_record=look,
            on_progress=lambda count: on_progress(count, span.end - span.start),
        )
    # Read the erasures after the log, so that every erasure in the log is known.
    book.erasures.fetched(log.partition, log.end)
    log = without_forgotten(log, book.erasures.forgotten(log.partition, application_id))
    return Inquiry(log, ends, topics, book, max_event_bytes=max_event_bytes)


def milliseconds_after(moment: int) -> int:
    """The first millisecond after a moment in microseconds."""
    return max(0, moment // _MICROS_A_MILLISECOND + 1)


def end_after(place: AtOffset, topic: str, application_id: str, partition: int, span: Span) -> int:
    """The offset after a given place.

    Args:
        place: the place.
        topic: ``executions``, by its full name.
        application_id: the application.
        partition: the application's.
        span: the offsets that the partition has.

    Raises:
        ContractError: it is another partition's, or not there.
    """
    if place.partition != partition:
        raise ContractError(
            f"{topic}: {application_id} is in partition {partition}, not in {place.partition}: give an offset of that "
            f"one, {partition}:OFFSET"
        )
    if not span.start <= place.offset < span.end:
        raise ContractError(
            f"{topic} has no offset {place.offset} in partition {partition}: the first is {span.start}, the next to "
            f"come is {span.end}"
        )
    return place.offset + 1
