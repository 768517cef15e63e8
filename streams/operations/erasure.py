"""Erase an application from every topic: records are found by their payload, and erased by tombstones for their keys.

The worker forgets the application when it reads the erasure, and refuses its events from there on; from then on no new
records of it are published, so all of them can be found. An erasure counts only with the entry that is written with it:
see ``docs/decisions/0010`` and ``0026``.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consolidator.keys import partition_of
from consolidator.source_records import ERASURE_HEADER
from models.errors import ContractError, InfrastructureError
from streams.operations.eraser import require_eraser
from streams.operations.holdings import Holding, Search, Whose, retention_of
from topics.cluster.admin_client import Cluster
from topics.contract.declared import Topic, Topics
from topics.contract.permissions import erasing_transactions
from topics.reading.erasures import read_entries
from topics.reading.positions import Beginning
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader
from topics.records.erasures import (
    ERASURE_PREFIX,
    SALT_BYTES,
    Erasure,
    Forgotten,
    erasure_of,
    forgotten_in,
    is_about_application,
)
from topics.records.record import Record
from topics.writing.confirmed import ConfirmedWriter
from topics.writing.delivery import Written, write_records

__all__ = ["ApplicationErasure", "Survey"]

_POLL_S: Final = 0.2
_DECIDED_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Survey:
    """All records about an application.

    Attributes:
        holdings: by topic, the source first.
        forgotten: its last erasure; None: it was never erased.
        salt: of the last erasure of any application in the partition; None: there is none.
        unconfirmed: the offsets, in its partition, of records that look like its erasure but have no entry.
    """

    holdings: list[Holding]
    forgotten: Forgotten | None
    salt: bytes | None
    unconfirmed: list[int]

    @property
    def is_erased(self) -> bool:
        """Whether the application is erased at the end of the log."""
        return self.forgotten is not None and not self.forgotten.lifted

    @property
    def records(self) -> int:
        """How many records are the application's."""
        return sum(holding.records for holding in self.holdings)


class ApplicationErasure:
    """Finds and erases one application's records in Kafka.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the worker's group; it is neither joined nor moved.
        application_id: the application. An id from an earlier version may be longer than the limit.
        on_progress: called with a text about the step that takes time.

    Raises:
        AuthorizationError: a permission is missing; the message names it.
        ContractError: a topic is not there or belongs to workers of another id, or the application's id is empty.
        InfrastructureError: from every method: Kafka does not answer, refuses a record, or no worker is running.
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
        if not application_id:
            raise ContractError("no application has an empty id: nothing was done")
        require_eraser(config, topics, group)
        self._config = config
        self._topics = topics
        self._group = group
        self._application_id = application_id
        self._search = Search(application_id)
        self._partition = partition_of(application_id, topics.partitions)
        self._on_progress = on_progress
        # The writer is made for a dry run, too: that is the only way to find out whether the cluster permits it.
        self._writer = ConfirmedWriter(config, erasing_transactions(group))

    def survey(self) -> Survey:
        """Look through the source and the dead letters, and through the application's partition of the other topics."""
        settings = Cluster(self._config).find(topic.name for topic, _ in self._searched())
        for topic, _ in self._searched():
            if topic.name not in settings:
                raise ContractError(f"there is no topic {topic.name}: run `consolidator topics apply`")
        entries = read_entries(self._config, self._topics, [self._partition])[self._partition]
        holdings, unconfirmed = [], []
        for topic, whose in self._searched():
            self._on_progress(f"searching {topic.name}")
            holding = Holding(topic.name, retention_of(settings[topic.name].settings))
            for record in self._records(topic):
                if topic is self._topics.executions and (record.key or b"").startswith(ERASURE_PREFIX):
                    if self._looks_like_its_erasure(record) and record.offset not in entries:
                        unconfirmed.append(record.offset)
                else:
                    holding.take(record, whose(record))
            holdings.append(holding)
        last = entries[max(entries)].salt if entries else None
        return Survey(holdings, forgotten_in(entries, self._partition, self._application_id), last, unconfirmed)

    def announce(self, survey: Survey, *, lifted: bool = False) -> tuple[int, int]:
        """Write an erasure, or its lift, into the application's partition of the source, and its entry.

        Args:
            survey: the application's records; a lift needs the salt of its erasure.
            lifted: whether to lift the erasure.

        Returns:
            Partition and offset of the record.
        """
        known = survey.forgotten.standing if survey.forgotten is not None else ()
        salts = [one.salt for one in known] if lifted else [survey.salt or os.urandom(SALT_BYTES)]
        offsets = [self._written_with_entry(erasure_of(self._application_id, salt, lifted=lifted)) for salt in salts]
        return self._partition, offsets[-1]

    def wait_consolidated(self, *, limit_s: float) -> None:
        """Wait until the workers have consolidated the source up to its present end, and their output can be read.

        Args:
            limit_s: how long to wait, in seconds.
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
                    "a transaction is still open, and hides its records. Give the command again later"
                )

    def entomb(self, survey: Survey) -> int:
        """Write a tombstone for every key that was found; return how many."""
        self._on_progress("writing tombstones")
        tombs = [
            Written(holding.topic, partition, key, None)
            for holding in survey.holdings
            for partition, keys in holding.keys.items()
            for key in sorted(keys)
        ]
        return len(self._written(tombs))

    def _searched(self) -> Iterator[tuple[Topic, Callable[[Record], Whose]]]:
        """The topics that are searched, each with how the application's records are known in it."""
        yield self._topics.executions, self._search.source
        yield self._topics.factor_changes, self._search.published
        yield self._topics.factors, self._search.published
        yield self._topics.dlq, self._search.dead_letter

    def _records(self, topic: Topic) -> Iterator[Record]:
        """All partitions of a topic with foreign keys; of any other topic, the application's own partition."""
        is_foreign = topic in {self._topics.executions, self._topics.dlq}
        only = None if is_foreign else self._application_id
        with TopicReader(self._config, topic.name, Beginning(), application_id=only) as reader:
            yield from reader.until_end()

    def _looks_like_its_erasure(self, record: Record) -> bool:
        return record.partition == self._partition and is_about_application(record, self._application_id)

    def _written_with_entry(self, erasure: Erasure) -> int:
        partition, topics = self._partition, self._topics
        return self._writer.write(
            Written(topics.executions.name, partition, erasure.key, erasure.value),
            lambda offset: Written(
                topics.erasures.name, partition, erasure.entry_key(partition, offset), erasure.entry_value
            ),
        )

    def _written(self, records: Sequence[Written]) -> list[tuple[int, int]]:
        """Write records with a header that marks them as part of an erasure."""
        return write_records(self._config, records, headers=[(ERASURE_HEADER, b"application")])


def _behind(committed: Mapping[int, int | None], ends: Mapping[int, int]) -> tuple[int, int] | None:
    """The first partition that is not consolidated up to its end, with that end."""
    return next(
        ((partition, end) for partition, end in sorted(ends.items()) if (committed.get(partition) or 0) < end), None
    )
