"""``factors`` against a replay: the last record of each pair in the range is compared, once the replay has ended."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from consolidator.keys import parse_event_key, partition_of
from consolidator.records import SCHEMA_VERSION, CurrentFactors
from models.rows import Row
from streams.audit.published import published_summary, unreadable_because
from streams.audit.verification.changes import Taints
from streams.audit.verification.findings import Count, Finding, Kind, PlaceInTopic
from streams.audit.verification.placement import finding_on, out_of_place
from streams.core.fold import load_pair
from streams.core.pair_summary import PairSummary, summary_of
from streams.partition.state.row_codec import decode_row
from streams.replay.replay import ReplayedBatch
from streams.replay.tables import Table
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.reading.ranges import Range
from topics.records.record import Record

__all__ = ["FactorComparison", "index_factors", "keep_replayed"]

_ROWS_A_WRITE: Final = 5_000


class _Published(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last record of a pair in the range.

    Attributes:
        partition: where it stands.
        offset: its offset; -1: the pair has no record in the range, only a later one.
        cause: the offset of the causing record.
        digest: SHA-256 of the value; empty: a tombstone.
        essence: SHA-256 of outcome, factors and counts, without the cause.
        ruleset: the digest of its ruleset.
        moved: the pair has a later record, whose cause is after the range.
    """

    partition: int
    offset: int
    cause: int
    digest: bytes
    essence: bytes
    ruleset: str
    moved: bool = False


class _Replayed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    cause: int
    digest: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_published: Final = msgspec.msgpack.Decoder(_Published).decode
_replayed: Final = msgspec.msgpack.Decoder(_Replayed).decode
_CURRENT: Final = msgspec.json.Decoder(CurrentFactors)


def index_factors(
    records: Iterable[Record], topics: Topics, ends: Mapping[int, int], index: Table
) -> Iterator[Finding]:
    """Keep the last record of each pair in the range; yield a finding for each record that is misplaced.

    Args:
        records: of ``factors``, each partition in its order.
        topics: the declared topics.
        ends: by partition, the offset of the source before which the range ends.
        index: by the pair's key; empty at the start.
    """
    rows: dict[bytes, _Published] = {}
    for record in records:
        key = record.key or b""
        if record.value is None:
            rows[key] = _Published(record.partition, record.offset, -1, b"", b"", "")
            continue
        current = _readable(record.value)
        if current is None:
            yield finding_on(Kind.UNREADABLE, record, None, topics, f"it {unreadable_because(record.value)}")
            continue
        has_own_key = parse_event_key(record.key or b"") == (current.application_id, current.processor)
        if (reason := out_of_place(record, current, topics, has_own_key=has_own_key)) is not None:
            yield finding_on(Kind.MISPLACED, record, current, topics, reason)
            continue
        cause = current.version.offset
        if cause < ends.get(record.partition, 0):
            essence = _essence(published_summary(current))
            digest = sha256(record.value).digest()
            rows[key] = _Published(record.partition, record.offset, cause, digest, essence, current.ruleset.digest)
        else:
            raw = index.get(key)
            known = rows.get(key) or (None if raw is None else _published(raw))
            nothing = _Published(record.partition, -1, -1, b"", b"", "")
            rows[key] = msgspec.structs.replace(known or nothing, moved=True)
        if len(rows) >= _ROWS_A_WRITE:
            index.write((key, _encode(row)) for key, row in rows.items())
            rows.clear()
    index.write((key, _encode(row)) for key, row in rows.items())


def keep_replayed(replayed: ReplayedBatch, topics: Topics, kept: Table) -> None:
    """Keep the last ``factors`` record that the replay would publish of each pair, except of erased applications."""
    name = topics.factors.name
    # The record of a pair is published together with its last change.
    causes = {made.row_key: made.offset for made in replayed.folded.changes}
    kept.write(
        (sent.key, None if sent.value is None else _encode(_Replayed(causes[sent.key], sha256(sent.value).digest())))
        for sent in replayed.folded.outgoing
        if sent.topic == name
    )


def _readable(value: bytes) -> CurrentFactors | None:
    try:
        current = _CURRENT.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return current if current.schema_version <= SCHEMA_VERSION else None


def _essence(summary: PairSummary) -> bytes:
    counts = summary.counts
    factors = [[name, text] for name, text in sorted(summary.factors.items())]
    return sha256(
        _encode([summary.outcome, factors, [counts.active, counts.completed, counts.failed, counts.contributing]])
    ).digest()


@dataclass
class FactorComparison:
    """Compares the last records of all pairs, after the whole range was replayed.

    Args:
        topics: the declared topics.
        book: the rules of every offset.
        published: see :func:`index_factors`.
        replayed: see :func:`keep_replayed`.
        rows: the state at the end of the range.
        taints: which pairs cannot be verified.
        ranges: of the source.
        explain: says in words how a published record differs from the replayed pair.
        processor: only this processor is compared; None: all.

    Attributes:
        count: the records by result.
    """

    topics: Topics
    book: RuleBook
    published: Table
    replayed: Table
    rows: Table
    taints: Taints
    ranges: Mapping[int, Range]
    explain: Callable[[PlaceInTopic, PairSummary], str]
    processor: str | None = None
    count: Count = field(default_factory=Count)

    def run(self) -> Iterator[Finding]:
        """Compare everything."""
        for key, raw in self.replayed.between(b"", None):
            mine = _replayed(raw)
            found = self.published.get(key)
            if self._is_wanted(key, mine.cause):
                yield from self._judge(key, mine, None if found is None else _published(found))
        for key, raw in self.published.between(b"", None):
            theirs = _published(raw)
            if theirs.offset < 0 or self.replayed.get(key) is not None:
                continue
            if theirs.digest:
                yield from self._without_replay(key, theirs)
            elif self.processor in {None, _identity(key)[1]}:
                # The application was erased as a whole.
                self.count.erased += 1

    def _is_wanted(self, key: bytes, cause: int) -> bool:
        application_id, processor = _identity(key)
        span = self.ranges.get(partition_of(application_id, self.topics.partitions))
        return span is not None and cause >= span.since and self.processor in {None, processor}

    def _judge(self, key: bytes, mine: _Replayed, theirs: _Published | None) -> Iterator[Finding]:
        partition = partition_of(_identity(key)[0], self.topics.partitions)
        if theirs is not None and theirs.offset >= 0 and not theirs.digest:
            self.count.erased += 1
        elif theirs is not None and theirs.offset < 0:
            self.count.moved += 1
        elif self.taints.reach(key, self.ranges[partition].end):
            yield from self._in_content(key, mine, theirs)
        elif theirs is None:
            yield self._found(Kind.MISSING, key, None, mine.cause, "the events give factors that are not there")
        elif theirs.digest == mine.digest:
            self.count.equal += 1
        elif theirs.moved and theirs.cause < mine.cause:
            # Compaction has removed the record in the range, because a later one, after the range, replaced it.
            self.count.moved += 1
        else:
            yield self._altered(key, mine.cause, theirs)

    def _in_content(self, key: bytes, mine: _Replayed, theirs: _Published | None) -> Iterator[Finding]:
        """The cause of some change is gone. Compaction alone removes no event, so the state must still be the same."""
        partition = partition_of(_identity(key)[0], self.topics.partitions)
        summary = self._summary(key)
        if self.ranges[partition].first > 0 or theirs is None or summary is None or theirs.moved:
            self.count.unverifiable += 1
        elif theirs.essence == _essence(summary):
            self.count.content += 1
        else:
            yield self._altered(key, mine.cause, theirs)

    def _without_replay(self, key: bytes, theirs: _Published) -> Iterator[Finding]:
        if not self._is_wanted(key, theirs.cause):
            return
        if self.taints.reach(key, theirs.cause) or theirs.cause < self.ranges[theirs.partition].first:
            self.count.unverifiable += 1
            return
        place = PlaceInTopic(self.topics.factors.name, theirs.partition, theirs.offset)
        yield self._found(Kind.UNEXPECTED, key, place, theirs.cause, "no event gives these factors")

    def _altered(self, key: bytes, cause: int, theirs: _Published) -> Finding:
        place = PlaceInTopic(self.topics.factors.name, theirs.partition, theirs.offset)
        summary = self._summary(key)
        if not self.book.knows(theirs.ruleset):
            reason = f"it is of the ruleset with digest {theirs.ruleset}"
        elif theirs.cause != cause:
            reason = f"its cause stands at offset {theirs.cause}, the last change's at {cause}"
        else:
            reason = "other bytes" if summary is None else self.explain(place, summary)
        return self._found(Kind.ALTERED, key, place, cause, reason)

    def _summary(self, key: bytes) -> PairSummary | None:
        raw = self.rows.get(key)
        row = None if raw is None else decode_row(raw)
        if not isinstance(row, Row):
            return None
        rules = self.book.of_row(row)
        return summary_of(load_pair(row, rules), rules)

    def _found(self, kind: Kind, key: bytes, published: PlaceInTopic | None, cause: int, reason: str) -> Finding:
        self.count.different += 1
        application_id, processor = _identity(key)
        partition = partition_of(application_id, self.topics.partitions)
        place = PlaceInTopic(self.topics.executions.name, partition, cause)
        return Finding(kind, self.topics.factors.name, key, application_id, processor, published, place, reason)


def _identity(key: bytes) -> tuple[str, str]:
    """The application and the processor in a pair's key; the tables have no other keys."""
    return parse_event_key(key) or ("", "")
