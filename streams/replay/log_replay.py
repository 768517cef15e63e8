"""A replay of Kafka's log for a command: it folds a range, and gives the changes in it and the resulting pairs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from consolidator.keys import partition_of
from streams.core.fold import Pair
from streams.partition.batch import Outgoing
from streams.partition.outbox import MadeChange
from streams.replay.basis import PartitionStanding
from streams.replay.digest import ChangesDigest, record_digest
from streams.replay.replay import Replay, ReplayedBatch, without_collector
from streams.replay.source_log import require_partitions, source_reader
from streams.replay.tables import Scratch
from streams.rulesets.rule_book import RuleBook
from streams.runtime.closing import Closing
from topics.contract.declared import Topics
from topics.reading.positions import Start
from topics.reading.ranges import Range, ranges_of
from topics.reading.reader import TopicReader

__all__ = ["LogReplay", "Selection", "ShownChange", "open_range"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection that a command asks for.

    Attributes:
        starts: the offsets from which changes are shown; empty: from the beginning. See
            :func:`topics.reading.ranges.require_bounds`.
        ends: the offsets before which the fold ends; empty: the end of the log as it is now.
        application_id: only this application; None: all.
        processor: only this processor; None: all.
    """

    starts: Sequence[Start] = ()
    ends: Sequence[Start] = ()
    application_id: str | None = None
    processor: str | None = None


def open_range(
    stack: ExitStack, config: Mapping[str, str | int], topics: Topics, selection: Selection
) -> tuple[TopicReader, Mapping[int, Range]]:
    """Open the source, and find the offsets that a selection asks for.

    Args:
        stack: closes the reader.
        config: for librdkafka.
        topics: the declared topics.
        selection: the selected range and applications.

    Returns:
        The reader, and the range of each requested partition.

    Raises:
        ContractError: the topic, a partition or an offset is not there, or the topic has other partitions than
            declared.
        InfrastructureError: Kafka does not answer.
    """
    reader = stack.enter_context(source_reader(config, topics, selection.application_id))
    require_partitions(reader, topics)
    return reader, ranges_of(reader, selection.starts, selection.ends)


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A change in the range.

    Attributes:
        made: the change as a value, with the record as the worker publishes it.
        timestamp_ms: when the broker took the causing record.
    """

    made: MadeChange
    timestamp_ms: int

    @property
    def sent(self) -> Outgoing:
        """The record as the worker publishes it."""
        return self.made.record

    @property
    def offset(self) -> int:
        """Of the causing record."""
        return self.made.offset


class LogReplay(Closing):
    """One replay; a context manager that removes its temporary files.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        book: the rules of every offset.
        selection: the selected range and applications.
        max_event_bytes: larger events become dead letters.
        on_progress: called after each batch with the number of its offsets.

    Attributes:
        ranges: what is folded, by partition.
        hidden: how many changes were not shown, as their application was erased later.

    Raises:
        ContractError: the topic, a partition or an offset is not there.
        InfrastructureError: Kafka or the disk failed.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        book: RuleBook,
        selection: Selection,
        *,
        max_event_bytes: int,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._topics = topics
        self._selection = selection
        self._erasures = book.erasures
        self.hidden = 0
        self.ranges: Mapping[int, Range]
        with self._opening() as stack:
            stack.enter_context(without_collector())
            self._reader, self.ranges = open_range(stack, config, topics, selection)
            rows = stack.enter_context(Scratch()).table("rows")
        self._digests = {partition: ChangesDigest() for partition in self.ranges}
        self._replay = Replay(
            topics,
            book,
            rows,
            max_event_bytes=max_event_bytes,
            application_id=selection.application_id,
            on_progress=on_progress,
            open_log=lambda: source_reader(config, topics, selection.application_id),
        )

    def run(self) -> Iterator[ShownChange]:
        """Fold everything, and yield the wanted changes in the order in which the digest takes them.

        A change from before an erasure is part of the digest, but is not yielded.
        """
        for replayed in self._replay.run(self._reader, self.ranges):
            partition = replayed.batch.partition
            for change in self._shown(replayed, self.ranges[partition].start):
                self._digests[partition].add(record_digest(change.sent.key, change.sent.value or b""))
                if self._is_forgotten(partition, change.made.change.application_id, change.offset):
                    self.hidden += 1
                else:
                    yield change

    def pairs(self) -> Iterator[Pair]:
        """After :meth:`run`: the pairs that an event in the range changed, as they are at its end, in order of keys."""
        for pair in self._replay.pairs():
            row = pair.row
            partition = partition_of(row.application_id, self._topics.partitions)
            span = self.ranges[partition]
            if self._is_forgotten(partition, row.application_id, row.applied):
                continue
            if max(row.applied, row.version) >= span.start and self._selection.processor in {None, row.processor}:
                yield pair

    def standings(self) -> list[PartitionStanding]:
        """After :meth:`run`: the offsets and the digest of each partition."""
        return [
            PartitionStanding.of(partition, span, self._replay.records.get(partition, 0), self._digests[partition])
            for partition, span in self.ranges.items()
        ]

    def _is_forgotten(self, partition: int, application_id: str, offset: int) -> bool:
        """Whether an application was erased after an offset."""
        forgotten = self._erasures.forgotten(partition, application_id)
        return forgotten is not None and offset < forgotten.offset

    def _shown(self, replayed: ReplayedBatch, start: int) -> Iterator[ShownChange]:
        times = {record.offset: record.timestamp for record in replayed.batch.records}
        processor = self._selection.processor
        for made in replayed.folded.changes:
            if made.offset >= start and processor in {None, made.change.processor}:
                yield ShownChange(made, times[made.offset])
