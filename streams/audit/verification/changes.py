"""``factor-changes`` against a replay: a join by the causing record's offset, one batch of the source after the other.

Published changes lie in an index, ordered by the offset of their cause. A cause at which the source has no record is
*gone*: its change, and from there on every change of its pair, cannot be verified (docs/decisions/0008).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from consolidator.keys import application_prefix, change_key, parse_event_key
from consolidator.records import SCHEMA_VERSION
from streams.audit.published import unreadable_because
from streams.audit.published_head import PublishedHead, head_of
from streams.audit.verification.findings import Count, Finding, Kind, PlaceInTopic
from streams.audit.verification.placement import finding_on, out_of_place
from streams.partition.outbox import MadeChange
from streams.replay.digest import ChangesDigest, record_digest
from streams.replay.replay import ReplayedBatch
from streams.replay.tables import Table, place_key, place_of
from topics.contract.declared import Topics
from topics.records.record import Record

__all__ = ["ChangeComparison", "PublishedChange", "Taints", "index_changes", "last_cause"]

_TAINT_BYTES: Final = 8
_ERASED: Final = b"erased/"
"""The key of an erased entry, which differs from all places: those are 20 bytes that begin with a partition."""


class PublishedChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A published change in the index.

    Attributes:
        key: its key.
        pair: the key of its pair.
        part: its :func:`~streams.replay.digest.record_digest`.
    """

    key: bytes
    pair: bytes
    part: bytes


_ROWS_A_WRITE: Final = 5_000

_DEFERRED: Final = 10_000
"""How many missing changes are kept until it is known whether their application was erased. With more of them, erasure
is not the reason."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(PublishedChange).decode


def index_changes(records: Iterable[Record], topics: Topics, index: Table) -> Iterator[Finding]:
    """Put published changes into an index; yield a finding for each change that is misplaced.

    Args:
        records: of ``factor-changes``, each partition in its order.
        topics: the declared topics.
        index: empty at the start.
    """
    rows: list[tuple[bytes, bytes]] = []
    for record in records:
        key = record.key or b""
        if record.value is None:
            rows.append((_ERASED + key, b""))
            continue
        head = _readable(record.value)
        if head is None:
            yield finding_on(Kind.UNREADABLE, record, head, topics, f"it {unreadable_because(record.value)}")
            continue
        has_own_key = key == change_key(head.application_id, head.id)
        if (reason := out_of_place(record, head, topics, has_own_key=has_own_key)) is not None:
            yield finding_on(Kind.MISPLACED, record, head, topics, reason)
            continue
        place = place_key(record.partition, head.version.offset, record.offset)
        rows.append((place, _encode(PublishedChange(key, head.pair_key, record_digest(key, record.value)))))
        if len(rows) >= _ROWS_A_WRITE:
            index.write(rows)
            rows.clear()
    index.write(rows)


def last_cause(index: Table, partition: int) -> int | None:
    """The greatest offset that a published change of a partition names as its cause; None: there is no change."""
    found = None
    for key, _ in index.between(place_key(partition, 0), place_key(partition + 1, 0)):
        found = place_of(key)[1]
    return found


def _readable(value: bytes) -> PublishedHead | None:
    try:
        head = head_of(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    known = head.schema_version <= SCHEMA_VERSION
    return head if known and head.id and head.version.partition >= 0 and head.version.offset >= 0 else None


class Taints:
    """Remembers from which offset on a pair cannot be verified.

    Args:
        table: where it is kept; empty at the start.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._any = False

    def add(self, pair: bytes, offset: int) -> None:
        """Note that a causing record of the pair is gone. Offsets must come in order."""
        self._any = True
        if self._table.get(pair) is None:
            self._table.write([(pair, offset.to_bytes(_TAINT_BYTES, "big"))])

    def reach(self, pair: bytes, offset: int) -> bool:
        """Whether the pair cannot be verified at an offset."""
        if not self._any:
            return False
        raw = self._table.get(pair)
        return raw is not None and int.from_bytes(raw, "big") <= offset


@dataclass
class ChangeComparison:
    """Compares published changes with replayed ones, batch after batch.

    Args:
        topics: the declared topics.
        index: the published changes, see :func:`index_changes`.
        taints: gets the pairs that cannot be verified, in the order of each partition.
        explain: says in words how a published record differs from the replayed value.
        processor: only this processor is compared; None: all.

    Attributes:
        count: the published changes by result.
        published: by partition, the digest of the published changes in the range.
        replayed: by partition, the digest of the replayed ones.
    """

    topics: Topics
    index: Table
    taints: Taints
    explain: Callable[[PlaceInTopic, bytes], str]
    processor: str | None = None
    count: Count = field(default_factory=Count)
    published: dict[int, ChangesDigest] = field(default_factory=dict)
    replayed: dict[int, ChangesDigest] = field(default_factory=dict)
    _missing: dict[bytes, list[Finding]] = field(default_factory=dict)
    _left: dict[tuple[int, bytes], list[tuple[int, PublishedChange]]] | None = None

    def take(self, replayed: ReplayedBatch, start: int) -> Iterator[Finding]:
        """Compare one batch.

        1. Find the published changes whose cause is gone, and taint their pairs.
        2. Judge each replayed change.
        3. Report the published changes that are left: no event gives them. An adoption comes in several batches, so
           they are reported after its last one.
        4. Do not count the missing changes of applications that were erased later as differences.

        Args:
            replayed: the batch.
            start: changes that were caused before this offset are not judged.
        """
        partition = replayed.batch.partition
        replayed_digest = self.replayed.setdefault(partition, ChangesDigest())
        # 1.
        left = self._caused_in(replayed, start) if self._left is None else self._left
        # 2.
        for made in replayed.folded.changes:
            record = made.record
            found = left.pop((made.offset, record.key), [])
            if made.offset < start or self.processor not in {None, made.change.processor}:
                continue
            part = record_digest(record.key, record.value or b"")
            replayed_digest.add(part)
            yield from self._judge(made, part, found)
        self._left = left if replayed.folded.is_halfway else None
        # 3.
        for (offset, _), found in () if replayed.folded.is_halfway else left.items():
            for place, change in found:
                if offset < start:
                    continue
                if self.taints.reach(change.pair, offset):
                    self.count.unverifiable += 1
                else:
                    yield self._unexpected(partition, offset, place, change, "the event that it names gives none such")
        # 4.
        self._forgive(replayed.folded.erased_prefixes)

    def _caused_in(
        self, replayed: ReplayedBatch, start: int
    ) -> dict[tuple[int, bytes], list[tuple[int, PublishedChange]]]:
        """The published changes whose cause is in a batch, by the cause's offset and their key."""
        batch = replayed.batch
        partition = batch.partition
        digest = self.published.setdefault(partition, ChangesDigest())
        caused: dict[tuple[int, bytes], list[tuple[int, PublishedChange]]] = {}
        for offset, place, change in self._entries(partition, batch.start, batch.end + replayed.folded.is_halfway):
            if offset >= start:
                digest.add(change.part)
            if offset in replayed.present:
                caused.setdefault((offset, change.key), []).append((place, change))
            else:
                self._gone(partition, offset, change, start)
        return caused

    def before(self, partition: int, first: int, start: int) -> None:
        """Before the first batch: changes with a cause before the first record that still exists cannot be verified."""
        digest = self.published.setdefault(partition, ChangesDigest())
        for offset, _, change in self._entries(partition, 0, first):
            if offset >= start:
                digest.add(change.part)
            self._gone(partition, offset, change, start)

    def behind(self, partition: int, end: int) -> Iterator[Finding]:
        """After the last batch: report changes with a cause after the source's end, and the missing changes.

        Args:
            partition: the partition.
            end: the end of the source, read after the published changes were.
        """
        for findings in self._missing.values():
            yield from findings
        self._missing.clear()
        for offset, place, change in self._entries(partition, end, None):
            yield self._unexpected(partition, offset, place, change, "it names a cause after the end of the source")

    def _forgive(self, erased: Iterable[bytes]) -> None:
        """Count the missing changes of erased applications as erased; the argument has the prefixes of their keys."""
        for prefix in erased:
            count = len(self._missing.pop(prefix, ()))
            self.count.erased += count
            self.count.different -= count

    def _missed(self, made: MadeChange) -> Iterator[Finding]:
        """Note a missing change; it is reported unless its application turns out to be erased later."""
        found = self._found(Kind.MISSING, made, None, "the event gives a change that is not there")
        if self.count.different > _DEFERRED:
            yield found
        else:
            self._missing.setdefault(application_prefix(made.change.application_id), []).append(found)

    def _gone(self, partition: int, offset: int, change: PublishedChange, start: int) -> None:
        self.taints.add(change.pair, offset)
        self.count.gone[partition] = max(offset, self.count.gone.get(partition, 0))
        self.count.unverifiable += offset >= start

    def _entries(self, partition: int, first: int, end: int | None) -> Iterator[tuple[int, int, PublishedChange]]:
        suffix = None if self.processor is None else f"/{self.processor}".encode()
        until = place_key(partition + 1, 0) if end is None else place_key(partition, end)
        for key, raw in self.index.between(place_key(partition, first), until):
            change = _decode(raw)
            _, offset, place = place_of(key)
            if suffix is None or change.pair[change.pair.index(b"/") :] == suffix:
                yield offset, place, change

    def _judge(self, made: MadeChange, part: bytes, found: list[tuple[int, PublishedChange]]) -> Iterator[Finding]:
        record = made.record
        if self.taints.reach(made.row_key, made.offset):
            self.count.unverifiable += len(found)
            return
        if not found:
            if self.index.get(_ERASED + record.key) is not None:
                self.count.erased += 1
            else:
                yield from self._missed(made)
            return
        for number, (place, change) in enumerate(found):
            published = PlaceInTopic(self.topics.factor_changes.name, record.partition, place)
            if change.part != part:
                reason = self.explain(published, record.value or b"")
                yield self._found(Kind.ALTERED, made, published, reason)
            elif number:
                first = found[0][0]
                yield self._found(Kind.DUPLICATE, made, published, f"it is there already, at offset {first}")
            else:
                self.count.equal += 1

    def _found(self, kind: Kind, made: MadeChange, published: PlaceInTopic | None, reason: str) -> Finding:
        self.count.different += 1
        change = made.change
        cause = PlaceInTopic(self.topics.executions.name, change.cause.position.partition, made.offset)
        name = self.topics.factor_changes.name
        return Finding(kind, name, made.record.key, change.application_id, change.processor, published, cause, reason)

    def _unexpected(self, partition: int, offset: int, place: int, change: PublishedChange, reason: str) -> Finding:
        self.count.different += 1
        name = self.topics.factor_changes.name
        application_id, processor = parse_event_key(change.pair) or ("", "")
        return Finding(
            Kind.UNEXPECTED,
            name,
            change.key,
            application_id,
            processor,
            PlaceInTopic(name, partition, place),
            PlaceInTopic(self.topics.executions.name, partition, offset),
            reason,
        )
