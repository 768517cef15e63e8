"""The source topic for a replay: from Kafka, or from evidence in files."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from models.errors import ContractError
from topics.contract.declared import Topics
from topics.reading.positions import Beginning, Span
from topics.reading.reader import TopicReader
from topics.records.record import Record

__all__ = ["SourceLog", "require_partitions", "source_reader"]


class SourceLog(Protocol):
    """The source topic: in Kafka, :class:`topics.reading.reader.TopicReader`; or kept in a file."""

    @property
    def topic(self) -> str:
        """Its full name."""

    @property
    def partitions(self) -> int:
        """How many it has."""

    def first(self, partition: int) -> int:
        """The first offset that a partition still has."""

    def by_partition(self, spans: Mapping[int, Span]) -> Iterator[tuple[int, Iterator[Record]]]:
        """Yield each partition with its committed records in a range of offsets, in order."""


def source_reader(config: Mapping[str, str | int], topics: Topics, application_id: str | None = None) -> TopicReader:
    """A reader of ``executions`` from the beginning; of the one partition of an application, or of all.

    Raises:
        ContractError: the topic is not there.
        InfrastructureError: Kafka does not answer.
    """
    return TopicReader(config, topics.executions.name, Beginning(), application_id=application_id)


def require_partitions(log: SourceLog, topics: Topics) -> None:
    """Refuse to replay with another partition count than the topic's: it would look in the wrong partitions.

    Raises:
        ContractError: the counts differ; the message says which setting to change.
    """
    if log.partitions != topics.partitions:
        raise ContractError(
            f"{log.topic} has {log.partitions} partitions, CONSOLIDATOR_PARTITIONS says {topics.partitions}: "
            f"set it to {log.partitions}"
        )
