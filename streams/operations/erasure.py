"""Erase an application from every topic: found by payload, whatever the key; taken away by tombstones.

The worker forgets the application when it reads the erasure, and refuses its events from there on; only then can
everything be found that is about it, because nothing more comes. See ``docs/decisions/0010``.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from models.errors import BadEventError, ContractError, InfrastructureError
from topics.cluster.admin_client import Cluster
from topics.cluster.authorization import require_permissions
from topics.contract.declared import Topic, Topics
from topics.contract.drift import Setting
from topics.contract.keys import application_prefix, partition_of
from topics.contract.permissions import Role, permissions
from topics.reading.positions import Beginning
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader
from topics.records import dead_letter_format
from topics.records.content import event_of, last_header, payload_of
from topics.records.erasures import (
    ERASURE_HEADER,
    ERASURE_PREFIX,
    SALT_BYTES,
    Erasure,
    erasure_of,
    is_about_application,
    parse_erasure,
)
from topics.records.record import Record
from topics.writing.delivery import Written, write_records

__all__ = ["ApplicationErasure", "Holding", "Retention", "Survey"]

_POLL_S: Final = 0.2
_DECIDED_LIMIT_S: Final = 30.0

_RETENTION_SETTINGS: Final = (
    "min.compaction.lag.ms",
    "max.compaction.lag.ms",
    "segment.ms",
    "segment.bytes",
    "min.cleanable.dirty.ratio",
    "delete.retention.ms",
)
_NEVER: Final = 9_223_372_036_854_775_807
"""Kafka's default for ``max.compaction.lag.ms``: no limit."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when the bytes of what was erased remain in a topic.

    Attributes:
        settings: the topic's, by Kafka's names.
    """

    settings: Mapping[str, str]

    @property
    def earliest(self) -> timedelta:
        """Before this time after the erasure nothing is removed: records have to be so old, in a closed segment."""
        return timedelta(milliseconds=int(self.settings["min.compaction.lag.ms"]))

    @property
    def latest(self) -> timedelta | None:
        """After this time the cleaner has to be at work, once the segment is closed; None: no limit is set."""
        limit = int(self.settings["max.compaction.lag.ms"])
        return None if limit >= _NEVER else timedelta(milliseconds=limit)

    def __str__(self) -> str:
        """For people: from when on, and what to set to shorten it."""
        earliest = (datetime.now(UTC) + self.earliest).strftime("%Y-%m-%d")
        limit = "no limit: max.compaction.lag.ms is not set" if self.latest is None else f"{self.latest} at most"
        return (
            f"bytes remain until {earliest} at least (min.compaction.lag.ms {self.settings['min.compaction.lag.ms']}), "
            f"then until the cleaner has been there ({limit}); never in the segment that is being written "
            f"(segment.ms {self.settings['segment.ms']}, segment.bytes {self.settings['segment.bytes']})"
        )


@dataclass
class Holding:
    """What one topic has about the application.

    Attributes:
        topic: the topic's full name.
        retention: until when bytes remain.
        records: records with a value.
        keys: by partition, the keys under which they stand; those whose last record is a tombstone are left out.
    """

    topic: str
    retention: Retention
    records: int = 0
    keys: dict[int, set[bytes]] = field(default_factory=dict)

    @property
    def standing(self) -> int:
        """Keys that a tombstone is still to be written for."""
        return sum(map(len, self.keys.values()))


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything about an application.

    Attributes:
        holdings: by topic, the source first.
        erasure: the last erasure of the application in the log; None: there is none.
        place: partition and offset of that record.
        salt: of the last erasure of any application in the partition; None: there is none.
    """

    holdings: list[Holding]
    erasure: Erasure | None
    place: tuple[int, int] | None
    salt: bytes | None

    @property
    def is_erased(self) -> bool:
        """Whether the application is erased as the log has it now."""
        return self.erasure is not None and not self.erasure.lifted


class ApplicationErasure:
    """One application, and everything that Kafka has about it.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the worker's group; it is neither joined nor moved.
        application_id: the application.
        on_progress: told in words what takes time.

    Raises:
        AuthorizationError: the cluster does not permit what it takes; naming it.
        ContractError: a topic is not there.
        InfrastructureError: from every method: Kafka does not answer, refuses a record, or no worker is at work.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topics: Topics,
        group: str,
        application_id: str,
        *,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        require_permissions(permissions(Role.ERASER, topics, group), config)
        self._config = config
        self._topics = topics
        self._group = group
        self._application_id = application_id
        self._prefix = application_prefix(application_id)
        self._partition = partition_of(application_id, topics.partitions)
        self._on_progress = on_progress

    def survey(self) -> Survey:
        """Look through the source and the dead letters, and through the application's partition of the other topics."""
        settings = Cluster(self._config).find(topic.name for topic, _ in self._searched())
        holdings = []
        erasure, place, salt = None, None, None
        for topic, is_its in self._searched():
            self._on_progress(f"searching {topic.name}")
            if topic.name not in settings:
                raise ContractError(f"there is no topic {topic.name}: run `consolidator topics apply`")
            holding = Holding(topic.name, _retention(settings[topic.name].settings))
            for record in self._records(topic):
                if topic is self._topics.executions and (record.key or b"").startswith(ERASURE_PREFIX):
                    found = _erasure_in(record)
                    salt = salt if found is None or record.partition != self._partition else found.salt
                    if found is not None and is_about_application(record, self._application_id):
                        erasure, place = found, (record.partition, record.offset)
                else:
                    _hold(holding, record, is_its)
            holdings.append(holding)
        return Survey(holdings, erasure, place, salt)

    def announce(self, survey: Survey, *, lifted: bool = False) -> tuple[int, int]:
        """Write the erasure, or that it is lifted, into the application's partition of the source.

        Args:
            survey: what there is; an erasure is lifted with the salt that it has.
            lifted: whether it is lifted.

        Returns:
            Partition and offset of the record.
        """
        known = survey.erasure.salt if survey.erasure is not None else survey.salt
        erasure = erasure_of(self._application_id, known or os.urandom(SALT_BYTES), lifted=lifted)
        [place] = self._written([Written(self._topics.executions.name, self._partition, erasure.key, erasure.value)])
        return place

    def wait_consolidated(self, *, limit_s: float) -> None:
        """Wait until the workers have read the source as far as it goes now, and all of that can be read.

        Args:
            limit_s: so long.
        """
        self._on_progress("waiting for the workers")
        name = self._topics.executions.name
        with TopicReader(self._config, name, Beginning()) as reader:
            ends = {partition: span.end for partition, span in reader.spans.items() if span.end}
        deadline = time.monotonic() + limit_s
        with GroupProgress(self._config, self._group, self._topics) as progress:
            while behind := _behind(progress.committed(), ends):
                if time.monotonic() >= deadline:
                    raise InfrastructureError(
                        f"after {limit_s:.0f} s group {self._group} has not read {name} partition {behind[0]} up to "
                        f"offset {behind[1]}: the erasure is written, but no worker has taken it in yet. Start one "
                        "(consolidator run), and give this command again"
                    )
                time.sleep(_POLL_S)
            published = (self._topics.executions, self._topics.factor_changes, self._topics.factors, self._topics.dlq)
            if not progress.wait_decided(*published, limit_s=_DECIDED_LIMIT_S):
                raise InfrastructureError(
                    "a transaction stays open: what it has cannot be seen. Give the command again"
                )

    def entomb(self, survey: Survey) -> int:
        """Write a tombstone for everything that was found; returns how many."""
        self._on_progress("writing tombstones")
        tombs = [
            Written(holding.topic, partition, key, None)
            for holding in survey.holdings
            for partition, keys in holding.keys.items()
            for key in sorted(keys)
        ]
        return len(self._written(tombs))

    def _searched(self) -> Iterator[tuple[Topic, Callable[[Record], bool]]]:
        """The topics that are searched, each with how the application's records are known in it."""
        yield self._topics.executions, lambda record: self._is_its(record, record.key)
        yield self._topics.factor_changes, self._has_its_key
        yield self._topics.factors, self._has_its_key
        yield self._topics.dlq, lambda record: self._is_its(record, last_header(record, dead_letter_format.KEY))

    def _records(self, topic: Topic) -> Iterator[Record]:
        """Where foreign keys are possible, every partition; elsewhere the application's own."""
        is_foreign = topic in {self._topics.executions, self._topics.dlq}
        only = None if is_foreign else self._application_id
        with TopicReader(self._config, topic.name, Beginning(), application_id=only) as reader:
            yield from reader.until_end()

    def _has_its_key(self, record: Record) -> bool:
        return (record.key or b"").startswith(self._prefix)

    def _is_its(self, record: Record, key: bytes | None) -> bool:
        """By its key, or by its payload; what cannot be read is its too if the id stands in it."""
        if key is not None and key.startswith(self._prefix):
            return True
        id_bytes = self._application_id.encode()
        if record.value is None or not any(sign in record.value for sign in (id_bytes, b"\\u", b"data_base64")):
            return False
        payload = payload_of(record)
        if payload is None:
            return id_bytes in record.value
        return bool(event_of(payload).get("application_id") == self._application_id)

    def _written(self, records: Sequence[Written]) -> list[tuple[int, int]]:
        """Write records that say of themselves that they belong to an erasure."""
        return write_records(self._config, records, headers=[(ERASURE_HEADER, b"application")])


def _hold(holding: Holding, record: Record, is_its: Callable[[Record], bool]) -> None:
    """Count a record, if it is the application's; a tombstone takes away what stands under its key."""
    key = record.key or b""
    standing = holding.keys.setdefault(record.partition, set())
    if record.value is None:
        standing.discard(key)
    elif is_its(record):
        holding.records += 1
        standing.add(key)


def _behind(committed: Mapping[int, int | None], ends: Mapping[int, int]) -> tuple[int, int] | None:
    """The first partition that is not consolidated up to its end, with that end."""
    return next(
        ((partition, end) for partition, end in sorted(ends.items()) if (committed.get(partition) or 0) < end), None
    )


def _erasure_in(record: Record) -> Erasure | None:
    try:
        return parse_erasure(record.key or b"", record.value or b"")
    except BadEventError:
        return None


def _retention(settings: Mapping[str, Setting]) -> Retention:
    return Retention({name: settings[name].value for name in _RETENTION_SETTINGS if name in settings})
