"""For tests of subscribers: sample records, as values and as bytes, and a source of them without a broker.

A test gives a subscriber the records that it will meet: changes one after another, cleared factors, and the tombstones
of an erasure::

    from consolidator import decode_change
    from consolidator.testing import SampleSource, sample_change

    source = SampleSource()
    first = sample_change("app-1", factors={"f_revenue_monthly_avg": 11000})
    source.publish(first)
    source.publish(sample_change("app-1", outcome="cleared", before=first))
    source.erase("app-1")
    for record in source:
        subscriber.take(record.key, None if record.value is None else decode_change(record.value))

A subscriber of :func:`consolidator.subscribe` gets the items of a subscription, piece by piece::

    subscription = source.subscribe()
    for item in subscription.pending():  # a snapshot
        apply(database, item)
    source.erase("app-1")
    for item in subscription.pending():  # what was published since
        apply(database, item)

Samples fit the published JSON Schemas. Values that a test does not give are made up, always in the same way.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import chain
from typing import Any, Final

import msgspec

from consolidator.errors import TokenError
from consolidator.keys import application_prefix, change_key, factors_key, parse_event_key, partition_of
from consolidator.records import (
    SCHEMA_VERSION,
    ChangeCause,
    CurrentFactors,
    Executions,
    FactorChange,
    FactorDifference,
    FactorValue,
    FailedExecution,
    Ruleset,
    SourcePlace,
    decode_change,
    decode_factors,
)
from consolidator.subscribing.items import CaughtUp, Changed, Current, Erased, Item, MustRefetch, SnapshotEnd

__all__ = ["SampleRecord", "SampleSource", "SampleSubscription", "encode", "sample_change", "sample_factors"]

_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    "in_progress": (0, 0),
    "withdrawn": (0, 0),
    "consolidated": (1, 0),
    "partial": (1, 1),
    "cleared": (0, 1),
}
"""By outcome: how many executions completed and failed in a sample."""
_IN_SNAPSHOT: Final = -1
"""The index of an item of a snapshot that has not ended."""
_FACTORS: Final[Mapping[str, FactorValue]] = {"f_revenue_monthly_avg": 11000}
_BEGINNING: Final = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
_RULESET: Final = Ruleset("sample/1", sha256(b"sample/1").hexdigest())


def sample_factors(
    application_id: str = "app-1",
    processor: str = "bank_statement",
    *,
    outcome: str = "consolidated",
    factors: Mapping[str, FactorValue] | None = None,
    version: SourcePlace | None = None,
) -> CurrentFactors:
    """Make the current factors of one processor of an application.

    Args:
        application_id: the application.
        processor: the processor.
        outcome: ``in_progress``, ``withdrawn``, ``consolidated``, ``partial`` or ``cleared``; the executions follow.
        factors: by name; None: one factor where an execution completed, otherwise none.
        version: the causing event's place; None: the first of partition 0. Time goes on by a minute with each offset.

    Raises:
        ValueError: there is no such outcome; factors without an execution that completed; a number that is not finite.
        TypeError: a factor is a float, which loses digits, or no scalar.
    """
    if outcome not in _COUNTS:
        raise ValueError(f"there is no outcome {outcome!r}: choose one of {', '.join(_COUNTS)}")
    completed, failed = _COUNTS[outcome]
    if factors and not completed:
        raise ValueError(f"there are no factors where the outcome is {outcome}: no execution completed")
    given = (_FACTORS if completed else {}) if factors is None else factors
    place = SourcePlace(0, 0) if version is None else version
    return CurrentFactors(
        SCHEMA_VERSION,
        application_id,
        processor,
        "document",
        outcome,
        {name: msgspec.Raw(_json_text(name, value).encode()) for name, value in given.items()},
        Executions(
            completed + failed,
            completed,
            failed,
            completed,
            ("execution-1",) * completed,
            (FailedExecution("execution-2", 1, "timeout"),) * failed,
            truncated=False,
        ),
        _RULESET,
        place,
        f"{_BEGINNING + timedelta(minutes=place.offset):%Y-%m-%dT%H:%M:%S.%fZ}",
    )


def sample_change(
    application_id: str = "app-1",
    processor: str = "bank_statement",
    *,
    outcome: str = "consolidated",
    factors: Mapping[str, FactorValue] | None = None,
    version: SourcePlace | None = None,
    before: CurrentFactors | None = None,
) -> FactorChange:
    """Make a change of the factors of one processor of an application.

    Args:
        application_id: see :func:`sample_factors`, as are the others.
        processor: the processor.
        outcome: after the change.
        factors: after the change.
        version: the causing event's place; None: the offset after the one of ``before``.
        before: the pair's last change, or its current factors; None: the pair is new.

    Raises:
        ValueError: see :func:`sample_factors`.
        TypeError: see :func:`sample_factors`.
    """
    if version is None and before is not None:
        version = SourcePlace(before.version.partition, before.version.offset + 1)
    after = sample_factors(application_id, processor, outcome=outcome, factors=factors, version=version)
    place = after.version
    identity = sha256(f"{application_id}\0{processor}\0{place.partition}:{place.offset}".encode()).hexdigest()[:32]
    status = "failed" if after.executions.failed else "completed" if after.executions.completed else "requested"
    return FactorChange(
        **_members(after),
        id=identity,
        previous_outcome="not_attempted" if before is None else before.outcome,
        changed=tuple(_differences({} if before is None else before.factors, after.factors)),
        cause=ChangeCause(
            status,
            "executions",
            place.partition,
            place.offset,
            execution_id="execution-2" if status == "failed" else "execution-1",
            event_id=f"event-{place.offset}",
            attempt=1,
        ),
        quality=(),
    )


def encode(value: CurrentFactors) -> bytes:
    """The value of a record, as JSON that :func:`~consolidator.decode_change` or ``decode_factors`` reads."""
    return msgspec.json.encode(value)


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One record of a :class:`SampleSource`.

    Attributes:
        topic: ``factor-changes`` or ``factors``.
        partition: from 0.
        offset: from 0 in each partition, without gaps.
        timestamp_ms: milliseconds since the epoch.
        key: see :mod:`consolidator.keys`.
        value: JSON; None: a tombstone, which erases what has the same key.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None


class SampleSource:
    """The two topics that subscribers read, without a broker; iterating yields the records of ``factor-changes``.

    Args:
        partitions: of each topic.
    """

    def __init__(self, partitions: int = 4) -> None:
        self._partitions = partitions
        self._changes: list[SampleRecord] = []
        self._factors: list[SampleRecord] = []

    def __iter__(self) -> Iterator[SampleRecord]:
        """The records of ``factor-changes``, in the order in which they were published."""
        return iter(self._changes)

    @property
    def factors(self) -> Iterator[SampleRecord]:
        """The records of ``factors``, in the order in which they were published; none is compacted away."""
        return iter(self._factors)

    def publish(self, change: FactorChange) -> None:
        """Add a change and the current factors that go with it, as the worker does in one transaction."""
        application_id = change.application_id
        partition = partition_of(application_id, self._partitions)
        timestamp_ms = int(datetime.fromisoformat(change.occurred_at).timestamp() * 1000)
        current = CurrentFactors(**_members(change))
        self._add(self._changes, partition, timestamp_ms, change_key(application_id, change.id), encode(change))
        self._add(
            self._factors, partition, timestamp_ms, factors_key(application_id, change.processor), encode(current)
        )

    def erase(self, application_id: str) -> None:
        """Add a tombstone for every key of an application, in both topics, as an erasure does."""
        prefix = application_prefix(application_id)
        for records in (self._changes, self._factors):
            last = {record.key: record for record in records if record.key.startswith(prefix)}
            for record in last.values():
                if record.value is not None:
                    self._add(records, record.partition, record.timestamp_ms, record.key, None)

    def subscribe(self, start: str | None = None) -> "SampleSubscription":
        """Begin a subscription to both topics.

        Args:
            start: the token of an item of a subscription to this source; None: with a snapshot.

        Raises:
            TokenError: it is no such token.
        """
        return SampleSubscription(self, start)

    def _add(
        self, records: list[SampleRecord], partition: int, timestamp_ms: int, key: bytes, value: bytes | None
    ) -> None:
        topic = "factor-changes" if records is self._changes else "factors"
        offset = sum(record.partition == partition for record in records)
        records.append(SampleRecord(topic, partition, offset, timestamp_ms, key, value))


class SampleSubscription:
    """Stands in for what :func:`consolidator.subscribe` returns; see :meth:`SampleSource.subscribe`.

    It does not wait: :meth:`pending` ends where everything was yielded.
    """

    def __init__(self, source: SampleSource, start: str | None) -> None:
        self._source = source
        self._place = _Place()
        yielded = None if start is None else self._place.read(start, len(list(source)))
        self._reason: str | None = None
        self._snapshot_is_due = yielded is None
        self._is_new = True
        self._yielded = yielded or 0

    def refetch(self, reason: str = "a sample") -> None:
        """Let the subscription begin anew: ``MustRefetch``, and a snapshot."""
        self._reason = reason
        self._snapshot_is_due = self._is_new = True

    def pending(self) -> Iterator[Item]:
        """What is to be yielded now: a snapshot if it is due, then what was published since."""
        partitions = tuple(sorted({record.partition for record in self._source}))
        if self._reason is not None:
            yield MustRefetch(self._reason, partitions, self._place, _IN_SNAPSHOT)
            self._reason = None
        if self._snapshot_is_due:
            self._yielded = len(list(self._source))
            # As if compaction had not been there yet: every record, the older ones and those that are erased first.
            for record in list(self._source.factors):
                yield self._item(record, _IN_SNAPSHOT)
            self._snapshot_is_due = False
            yield SnapshotEnd(partitions, self._place, self._yielded)
        for record in list(self._source)[self._yielded :]:
            self._yielded += 1
            yield self._item(record, self._yielded)
        if self._is_new:
            self._is_new = False
            yield CaughtUp(partitions, self._place, self._yielded)

    def _item(self, record: SampleRecord, index: int) -> Item:
        """What a record is to a subscriber."""
        place = (record.partition, record.offset, self._place, index)
        if record.value is not None:
            if index == _IN_SNAPSHOT:
                return Current(decode_factors(record.value), *place)
            return Changed(decode_change(record.value), *place)
        parsed = parse_event_key(record.key)
        if parsed is None:
            raise ValueError(f"{record.key!r} is no key of {record.topic}")
        application_id, identity = parsed
        processor, change_id = (identity, None) if index == _IN_SNAPSHOT else (None, identity)
        return Erased(application_id, processor, change_id, *place)


class _Place:
    """Makes and reads the tokens of a :class:`SampleSubscription`: how many changes were yielded."""

    _IN_SNAPSHOT: Final = "sample: in the snapshot"
    _AFTER: Final = "sample: after change "

    def token_after(self, index: int) -> str:
        return self._IN_SNAPSHOT if index == _IN_SNAPSHOT else f"{self._AFTER}{index}"

    def read(self, token: str, published: int) -> int | None:
        """How many changes to leave out; None: begin with the snapshot."""
        if token == self._IN_SNAPSHOT:
            return None
        index = token.removeprefix(self._AFTER)
        if index == token or not index.isdecimal() or int(index) > published:
            raise TokenError(f"{token!r} is no token of a subscription to this SampleSource")
        return int(index)


def _members(value: CurrentFactors) -> dict[str, Any]:
    """The members that a change and its current factors have in common."""
    return {name: getattr(value, name) for name in CurrentFactors.__struct_fields__}


def _differences(before: Mapping[str, msgspec.Raw], after: Mapping[str, msgspec.Raw]) -> Iterator[FactorDifference]:
    for name in sorted(set(chain(before, after))):
        old, new = before.get(name), after.get(name)
        if old is None:
            yield FactorDifference(name, "set", after=after[name])
        elif new is None:
            yield FactorDifference(name, "cleared", before=old)
        elif bytes(old) != bytes(new):
            yield FactorDifference(name, "updated", before=old, after=new)


def _json_text(name: str, value: object) -> str:
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, Decimal):
        raise TypeError(f"factor {name!r} is a {type(value).__name__}: give a str, a bool, an int or a Decimal")
    if not value.is_finite():
        raise ValueError(f"factor {name!r} is not finite: JSON has no such number")
    return f"{value:f}"
