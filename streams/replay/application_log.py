"""One application's source records: read from Kafka once, cut at an offset if wanted, and folded as often as wanted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final

from streams.partition.observer import Observer
from streams.partition.record_kinds import is_adoption
from streams.replay.replay import Replay
from streams.replay.source_log import require_partitions
from streams.replay.tables import MemoryTable
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.positions import Span
from topics.reading.ranges import Range
from topics.reading.reader import TopicReader
from topics.records.erasures import Forgotten, is_about_application
from topics.records.record import Record

__all__ = ["ApplicationLog", "KeptLog", "read_application", "without_forgotten"]

_OFFSETS_A_STEP: Final = 4_000


@dataclass(frozen=True, slots=True)
class KeptLog:
    """A source topic with some of its records in memory, in the form that a replay reads.

    Attributes:
        topic: its full name.
        partitions: how many it has.
        records: in the order of each partition.
    """

    topic: str
    partitions: int
    records: Sequence[Record]

    def first(self, partition: int) -> int:  # noqa: ARG002 - of no partition anything is missing
        """Always 0: nothing is missing at the start of a partition in memory."""
        return 0

    def by_partition(self, spans: Mapping[int, Span]) -> Iterator[tuple[int, Iterator[Record]]]:
        """Yield each partition with its records in a range of offsets."""
        for partition, span in sorted(spans.items()):
            yield partition, self._between(partition, span)

    def _between(self, partition: int, span: Span) -> Iterator[Record]:
        for record in self.records:
            if record.partition == partition and span.start <= record.offset < span.end:
                yield record


@dataclass(frozen=True, slots=True)
class ApplicationLog:
    """All records under an application's keys, and the records of its erasure.

    Attributes:
        application_id: the application.
        log: its records, events, tombstones and erasures.
        partition: the partition that they are in.
        first: the first offset that the partition still has.
        end: one past the last offset of the log.
        forgotten: the application's last erasure; None: it was never erased.
        hidden: how many records are left out because they are from before that erasure.
    """

    application_id: str
    log: KeptLog
    partition: int
    first: int
    end: int
    forgotten: Forgotten | None = None
    hidden: int = 0

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing may be shown: the application is erased now, or was erased at the end of this log."""
        forgotten = self.forgotten
        return forgotten is not None and (not forgotten.lifted or self.end <= forgotten.offset)

    @property
    def accepts_from(self) -> int:
        """The first offset whose events and tombstones count: after an erasure, the offset of the record that lifts it.

        Earlier tombstones do not count either: the events that they erased may be published again after the lift.
        """
        forgotten = self.forgotten
        if forgotten is None:
            return self.first
        return self.end if forgotten.accepts_from is None else forgotten.accepts_from

    @property
    def records(self) -> list[Record]:
        """The application's records, up to the end of this log."""
        return [record for record in self.log.records if record.offset < self.end]

    @property
    def ranges(self) -> Mapping[int, Range]:
        """The range that a replay of this log folds."""
        return {self.partition: Range(self.first, self.first, self.end)}

    def replay(
        self, topics: Topics, book: RuleBook, *, max_event_bytes: int, observer: Observer | None = None
    ) -> Replay:
        """A replay of this log, in memory; it runs over :attr:`log` and :attr:`ranges`."""
        return Replay(
            topics,
            book,
            MemoryTable(),
            max_event_bytes,
            self.application_id,
            observer,
            open_log=lambda: nullcontext(self.log),
        )

    def cut(self, end: int) -> "ApplicationLog":
        """The log as it was when its partition ended before an offset."""
        return replace(self, end=min(self.end, end))


def without_forgotten(log: ApplicationLog, forgotten: Forgotten | None) -> ApplicationLog:
    """The log without the records that an erasure hides, whether Kafka still has their bytes or not.

    After the erasure, a fold gives the same result with and without them. Adoptions of rulesets stay: they belong to no
    application.

    Args:
        log: the application's log.
        forgotten: the application's last erasure.
    """
    if forgotten is None:
        return log
    kept = [one for one in log.log.records if one.offset >= forgotten.offset or is_adoption(one.key)]
    hidden = len(log.log.records) - len(kept)
    return replace(log, log=replace(log.log, records=kept), forgotten=forgotten, hidden=hidden)


def read_application(
    reader: TopicReader,
    topics: Topics,
    application_id: str,
    *,
    on_record: Callable[[Record], None] = lambda _: None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ApplicationLog:
    """Read an application's records, up to the end as it was when the reader was made.

    Args:
        reader: of ``executions``, made for this application; see :func:`~streams.replay.source_log.source_reader`.
        topics: the declared topics.
        application_id: the application.
        on_record: called with each record of the partition, whatever it is about, in order.
        on_progress: called with how many offsets are done.

    Raises:
        ContractError: the topic has other partitions than declared.
        InfrastructureError: Kafka does not answer.
    """
    require_partitions(reader, topics)
    ((partition, span),) = reader.spans.items()
    found = []
    at = span.start
    for record in reader.until_end():
        on_record(record)
        if is_about_application(record, application_id):
            found.append(record)
        if record.offset - at >= _OFFSETS_A_STEP:
            on_progress(record.offset - at)
            at = record.offset
    on_progress(span.end - at)
    return ApplicationLog(
        application_id, KeptLog(reader.topic, reader.partitions, found), partition, span.start, span.end
    )
