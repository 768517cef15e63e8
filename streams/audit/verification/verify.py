"""A verification from start to end: its range, both comparisons, and a report with the offsets that it covers."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from streams.audit.verification.changes import ChangeComparison, Taints, index_changes
from streams.audit.verification.factors import FactorComparison, index_factors, keep_replayed
from streams.audit.verification.findings import Count, Finding, PlaceInTopic
from streams.core.pair_summary import PairSummary
from streams.replay.basis import PartitionStanding
from streams.replay.digest import ChangesDigest
from streams.replay.replay import Replay
from streams.replay.source_log import SourceLog
from streams.replay.tables import Table
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.ranges import Range
from topics.records.record import Record

__all__ = ["PartitionReport", "Report", "Verification"]

_EXPLAINED = 50
"""How many differences are explained member by member; each of them needs a read from Kafka."""


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """One partition of a verification.

    Attributes:
        standing: its offsets, and the digest of the replayed changes.
        published: the digest of the published changes; equal to the former if nothing differs.
        complete_from: one more than the greatest offset whose record is known to be gone; at least the first offset.
        pending: how many of the requested offsets the worker has not consolidated yet.
    """

    standing: PartitionStanding
    published: str
    complete_from: int
    pending: int

    def members(self) -> Mapping[str, object]:
        """The members of its JSON form."""
        return {
            **self.standing.members(),
            "complete_from": self.complete_from,
            "published_digest": self.published,
            "not_consolidated_yet": self.pending,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    Attributes:
        partitions: the offsets and digests of each partition.
        changes: the counts of ``factor-changes``.
        factors: the counts of ``factors``.
        differences: how many findings there were.
    """

    partitions: list[PartitionReport]
    changes: Count
    factors: Count
    differences: int

    def members(self) -> Mapping[str, object]:
        """The members of its JSON form."""
        return {
            "differences": self.differences,
            "factor_changes": self.changes.members(),
            "factors": self.factors.members(),
            "partitions": [partition.members() for partition in self.partitions],
        }


@dataclass
class Verification:
    """Compares the published records with a replay of the source.

    Args:
        topics: the declared topics.
        book: the rules of every offset.
        tables: makes an empty table.
        max_event_bytes: larger events become dead letters.
        application_id: only this application; the published records are of it alone, too.
        processor: only this processor.
        look_up: reads the value of a published record, to say how it differs; None: the record is gone.
        on_progress: called with how many offsets of the source are done.
        open_log: opens the source once more, if a ruleset was adopted; None: the source has no adoptions.
    """

    topics: Topics
    book: RuleBook
    tables: Callable[[str], Table]
    max_event_bytes: int
    application_id: str | None = None
    processor: str | None = None
    look_up: Callable[[PlaceInTopic], bytes | None] = lambda _: None
    on_progress: Callable[[int], None] = lambda _: None
    open_log: Callable[[], AbstractContextManager[SourceLog]] | None = None
    _explained: int = field(default=0, init=False)
    _differences: int = field(default=0, init=False)

    def index(self, changes: Iterable[Record]) -> Iterator[Finding]:
        """First: read the published changes; yield a finding for each that is misplaced."""
        self._index = self.tables("changes")
        yield from self._counted(index_changes(changes, self.topics, self._index))

    @property
    def published_changes(self) -> Table:
        """The index of the published changes, after :meth:`index`."""
        return self._index

    def run(
        self, log: SourceLog, ranges: Mapping[int, Range], ends: Mapping[int, int], factors: Iterable[Record]
    ) -> Iterator[Finding]:
        """Then: replay and compare; yields every difference as it is found.

        Args:
            log: the source.
            ranges: of the source; they end where the worker has consolidated, at the latest.
            ends: the ends of the source's partitions, read after the changes were.
            factors: the published records of ``factors``.
        """
        self._ranges, self._ends = ranges, ends
        until = {partition: span.end for partition, span in ranges.items()}
        current = self.tables("factors")
        yield from self._counted(index_factors(factors, self.topics, until, current))
        rows, kept, taints = self.tables("rows"), self.tables("replayed"), Taints(self.tables("taints"))
        self._comparison = ChangeComparison(
            self.topics, self._index, taints, self._explain_change, processor=self.processor
        )
        self._replay = Replay(
            self.topics,
            self.book,
            rows,
            max_event_bytes=self.max_event_bytes,
            application_id=self.application_id,
            on_progress=self.on_progress,
            open_log=self.open_log,
        )
        yield from self._counted(self._changes(log, kept))
        self._factors = FactorComparison(
            self.topics,
            self.book,
            current,
            kept,
            rows,
            taints,
            ranges,
            self._explain_factors,
            processor=self.processor,
        )
        yield from self._counted(self._factors.run())

    def report(self, asked: Mapping[int, int] = MappingProxyType({})) -> Report:
        """Last: make the report.

        Args:
            asked: the requested end of each partition whose range had to end sooner.
        """
        comparison = self._comparison
        partitions = []
        for partition, span in self._ranges.items():
            replayed = comparison.replayed.get(partition, ChangesDigest())
            published = comparison.published.get(partition, ChangesDigest())
            gone = comparison.count.gone.get(partition, -1) + 1
            partitions.append(
                PartitionReport(
                    PartitionStanding.of(partition, span, self._replay.records.get(partition, 0), replayed),
                    published.hex(),
                    max(span.first, gone),
                    max(0, asked.get(partition, span.end) - span.end),
                )
            )
        return Report(partitions, comparison.count, self._factors.count, self._differences)

    def _changes(self, log: SourceLog, kept: Table) -> Iterator[Finding]:
        for partition, span in self._ranges.items():
            self._comparison.before(partition, span.first, span.since)
        for replayed in self._replay.run(log, self._ranges):
            keep_replayed(replayed, self.topics, kept)
            yield from self._comparison.take(replayed, self._ranges[replayed.batch.partition].since)
        for partition in self._ranges:
            yield from self._comparison.behind(partition, self._ends[partition])

    def _counted(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            self._differences += 1
            yield finding

    def _explain_change(self, place: PlaceInTopic, replayed: bytes) -> str:
        return self._explain(place, lambda: json.loads(replayed))

    def _explain_factors(self, place: PlaceInTopic, summary: PairSummary) -> str:
        def members() -> dict[str, Any]:
            counts = summary.counts
            return {
                "processor_type": summary.processor_type,
                "outcome": summary.outcome,
                "factors": {name: json.loads(text) for name, text in summary.factors.items()},
                "executions": {
                    "active": counts.active,
                    "completed": counts.completed,
                    "failed": counts.failed,
                    "contributing": counts.contributing,
                },
            }

        return self._explain(place, members)

    def _explain(self, place: PlaceInTopic, replayed: Callable[[], dict[str, Any]]) -> str:
        if self._explained >= _EXPLAINED:
            return "other bytes"
        self._explained += 1
        value = self.look_up(place)
        published = None if value is None else json.loads(value)
        if not isinstance(published, dict):
            return "other bytes"
        names = [name for name, mine in replayed().items() if not _agree(published.get(name), mine)]
        return f"differs in {', '.join(names)}" if names else "other bytes"


def _agree(published: Any, replayed: Any) -> bool:
    """Whether a published member equals the replayed one. A published object may have further members."""
    if isinstance(replayed, dict) and isinstance(published, dict) and "active" in replayed:
        return all(published.get(name) == value for name, value in replayed.items())
    return bool(published == replayed) and type(published) is type(replayed)
