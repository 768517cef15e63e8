"""The replay itself: records of the source, partition after partition, through the worker's own fold."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from models.rows import Row
from streams.core.fold import Pair, load_pair
from streams.core.rules import Rules
from streams.partition.adoption import Refolded
from streams.partition.batch import Batch
from streams.partition.batch_parts import fold_in_parts
from streams.partition.observer import Observer
from streams.partition.partition_fold import PartitionFold
from streams.partition.result import Folded
from streams.partition.state.cache_limits import REPLAY_CACHE
from streams.partition.state.row_codec import decode_row, is_pair_key
from streams.replay.source_log import SourceLog, require_partitions
from streams.replay.tables import Scratch, Table
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.positions import Span
from topics.reading.ranges import Range
from topics.records.erasure_authority import ErasureAuthority
from topics.records.erasures import is_about_application
from topics.records.record import Record

__all__ = [
    "BATCH_RECORDS",
    "Replay",
    "ReplayedBatch",
    "folded_until",
    "without_collector",
]

BATCH_RECORDS: Final = 4_000
"""How many records are folded at once. The ends of batches have no effect on the result."""

_OUTPUT_BYTES: Final = 64 * 1024 * 1024
"""The greatest output in memory at a time, including changes as values. A batch of the design's workload has 30 MB of
output."""


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """One batch and its fold.

    Attributes:
        batch: the records that were folded.
        folded: the result of the fold; its rows are written already. The adoption of a ruleset has several results, one
            after the other, all with the adopting record; see :attr:`~streams.partition.result.Folded.is_halfway`.
        present: every offset between the batch's ends at which there is a record, folded or not.
    """

    batch: Batch
    folded: Folded
    present: frozenset[int]


@dataclass
class Replay:
    """Folds ranges of the source, each from the first record that the topic still has.

    Args:
        topics: the declared topics.
        book: the rules of every offset.
        rows: where the state is kept; empty at the start.
        max_event_bytes: larger events become dead letters.
        application_id: only the records under this application's keys, and about its erasure; None: all.
        observer: called for each event.
        on_progress: called after each batch with the number of its offsets.
        open_log: opens the source once more, if a ruleset was adopted; None: the source has no adoptions.
        keeps_changes: whether each batch's result has its changes as values.

    Attributes:
        records: how many were folded, by partition.
    """

    topics: Topics
    book: RuleBook
    rows: Table
    max_event_bytes: int
    application_id: str | None = None
    observer: Observer | None = None
    on_progress: Callable[[int], None] = lambda _: None
    open_log: Callable[[], AbstractContextManager[SourceLog]] | None = None
    keeps_changes: bool = True
    records: dict[int, int] = field(default_factory=dict)

    def run(self, log: SourceLog, ranges: Mapping[int, Range]) -> Iterator[ReplayedBatch]:
        """Every batch of every range, partition after partition.

        Args:
            log: the source topic.
            ranges: by partition; each is folded from its first offset to its end. Its start is not used here.

        Raises:
            ContractError: the topic has other partitions than declared, or records are gone since the ranges were made.
            InfrastructureError: Kafka or the disk failed.
        """
        require_partitions(log, self.topics)
        spans = {partition: Span(asked.first, asked.end) for partition, asked in ranges.items()}
        for partition, records in log.by_partition(spans):
            fold = PartitionFold(
                partition,
                self.topics,
                self.book.first(partition),
                self.rows,
                max_event_bytes=self.max_event_bytes,
                cached_pairs=REPLAY_CACHE.pairs,
                cached_weight=REPLAY_CACHE.weight,
                switches=None if self.open_log is None else _Switches(self, self.open_log, partition),
                authority=self.book.erasures,
                observer=self.observer,
                keeps_changes=self.keeps_changes,
            )
            # When the range was made, all records before its end could be read already. So the entries that confirm
            # erasures among them can be read together.
            self.book.erasures.fetched(partition, spans[partition].end)
            self.records[partition] = 0
            for batch, present in self._batches(log.topic, partition, spans[partition], records):
                for part, folded in fold_in_parts(fold, batch, room=_OUTPUT_BYTES):
                    self.rows.write(folded.rows())
                    fold.written(folded)
                    if not folded.is_halfway:
                        self.records[partition] += len(part.records)
                    yield ReplayedBatch(part, folded, present)
                    self.on_progress(part.end - part.start)

    def pairs(self) -> Iterator[Pair]:
        """The present state of every pair, in the order of their keys."""
        for _, raw in self.rows.between(b"", None):
            row = decode_row(raw)
            if isinstance(row, Row):
                yield load_pair(row, self.book.of_row(row))

    def _batches(
        self, topic: str, partition: int, span: Span, records: Iterator[Record]
    ) -> Iterator[tuple[Batch, frozenset[int]]]:
        start = span.start
        while block := list(islice(records, BATCH_RECORDS)):
            end = block[-1].offset + 1
            name = self.application_id
            wanted = block if name is None else [record for record in block if is_about_application(record, name)]
            present = frozenset(record.offset for record in block)
            yield Batch(topic, partition, start, end, wanted), present
            start = end
        # The remaining offsets have no records: they are transaction markers, or compaction removed the records.
        yield Batch(topic, partition, start, span.end, ()), frozenset()


@dataclass(frozen=True, slots=True)
class _Switches:
    """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""

    replay: Replay
    open_log: Callable[[], AbstractContextManager[SourceLog]]
    partition: int

    def fetched(self, end: int) -> None:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""

    def rules_at(self, offset: int) -> Rules | None:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        return self.replay.book.adopted_at(self.partition, offset)

    def refolded(self, offset: int, rules: Rules) -> AbstractContextManager[Refolded]:
        """See :class:`~streams.partition.ruleset_switches.RulesetSwitches`."""
        return folded_until(
            self.open_log,
            self.replay.topics,
            rules,
            self.partition,
            offset,
            max_event_bytes=self.replay.max_event_bytes,
            application_id=self.replay.application_id,
            erasures=self.replay.book.erasures,
        )


@contextmanager
def folded_until(
    open_log: Callable[[], AbstractContextManager[SourceLog]],
    topics: Topics,
    rules: Rules,
    partition: int,
    end: int,
    *,
    max_event_bytes: int,
    application_id: str | None = None,
    erasures: ErasureAuthority | None = None,
) -> Iterator[Refolded]:
    """The pairs of a partition before an offset, folded from its beginning with one ruleset throughout.

    Args:
        open_log: opens the source.
        topics: the declared topics.
        rules: the ruleset.
        partition: the partition.
        end: the offset.
        max_event_bytes: larger events are dead letters.
        application_id: only this application; None: all.
        erasures: knows which erasures count.
    """
    with open_log() as log, Scratch() as scratch:
        rows = scratch.table("rows")
        first = log.first(partition)
        book = RuleBook(rules, erasures=erasures)
        replay = Replay(topics, book, rows, max_event_bytes, application_id, keeps_changes=False)
        for _ in replay.run(log, {partition: Range(first, first, end)}):
            pass
        yield _Refolded(rows)


@dataclass(frozen=True, slots=True)
class _Refolded:
    """See :class:`~streams.partition.adoption.Refolded`."""

    rows: Table

    def pairs_after(self, key: bytes) -> Iterator[tuple[bytes, bytes, bytes | None]]:
        """See :class:`~streams.partition.adoption.Refolded`."""
        return ((found, raw, None) for found, raw in self.rows.between(key + b"\0", None) if is_pair_key(found))


@contextmanager
def without_collector() -> Iterator[None]:
    """Switch Python's cycle collector off: events and states form no cycles, and it would scan each of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
