"""Questions about one application, answered from Kafka without a consumer group; its log is read only once."""

from collections.abc import Callable, Mapping
from typing import Final

from models.errors import ContractError
from streams.audit.history.as_of import AsOf, known_as_of, true_as_of
from streams.audit.history.timeline import Entry, timeline
from streams.replay.application_log import ApplicationLog, read_application, without_forgotten
from streams.replay.source_log import source_reader
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.positions import AtOffset, End
from topics.reading.reader import TopicReader

__all__ = ["Inquiry", "Moment"]

Moment = AtOffset | int | End
"""How much of the log an answer uses: up to an offset, up to a time in microseconds since the epoch (both included), or
all."""

_MICROS_A_MILLISECOND: Final = 1_000


class Inquiry:
    """Answers questions about one application.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        book: the rules of every offset.
        application_id: the application.
        max_event_bytes: larger events are dead letters.
        moments: the moments of all *known* questions: their offsets are looked up while Kafka is connected.
        on_progress: called with how many offsets are done, and how many there are.

    Attributes:
        log: all records under its keys, without those from before its erasure.

    Raises:
        ContractError: the topic or the offset is not there, or the offset is another partition's.
        InfrastructureError: Kafka does not answer.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        book: RuleBook,
        application_id: str,
        *,
        max_event_bytes: int,
        moments: tuple[Moment, ...] = (),
        on_progress: Callable[[int, int], None] = lambda _, __: None,
    ) -> None:
        self._topics = topics
        self._book = book
        self._max_event_bytes = max_event_bytes
        with source_reader(config, topics, application_id) as reader:
            ((self._partition, span),) = reader.spans.items()
            self._ends = {moment: self._end(reader, application_id, moment) for moment in moments}
            log = read_application(
                reader, topics, application_id, on_progress=lambda count: on_progress(count, span.end - span.start)
            )
        # Read the erasures after the log, so that every erasure in the log is known.
        book.erasures.fetched(log.partition, log.end)
        self.log: ApplicationLog = without_forgotten(log, book.erasures.forgotten(log.partition, application_id))

    def known(self, moment: Moment) -> AsOf:
        """The state from all events that the log held at one of the given moments."""
        return known_as_of(
            self.log.cut(self._ends[moment]), self._topics, self._book, max_event_bytes=self._max_event_bytes
        )

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

    def _end(self, reader: TopicReader, application_id: str, moment: Moment) -> int:
        span = reader.spans[self._partition]
        if isinstance(moment, End):
            return span.end
        if isinstance(moment, int):
            # Kafka answers with the first record at or after a time. A record of exactly the given time has to be
            # included.
            return reader.offsets_at(max(0, moment // _MICROS_A_MILLISECOND + 1))[self._partition]
        if moment.partition != self._partition:
            raise ContractError(
                f"{reader.topic}: {application_id} is in partition {self._partition}, not in {moment.partition}: give "
                f"an offset of that one, {self._partition}:OFFSET"
            )
        if not span.start <= moment.offset < span.end:
            raise ContractError(
                f"{reader.topic} has no offset {moment.offset} in partition {self._partition}: the first is "
                f"{span.start}, the next to come is {span.end}"
            )
        return moment.offset + 1
