"""The progress of a worker's group in its source, without joining the group or moving its offsets.

Offsets do not count records: transaction markers have offsets, too. A group has no lag if a reader that starts at its
committed offset reaches the end without a record, even if the two offsets differ.
"""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from consolidator.connecting.closing import close_consumer
from consolidator.connecting.ends import ends_of
from consolidator.connecting.offsets import ASK_S, ask_for_offsets, committed_offset
from models.errors import InfrastructureError
from topics.cluster.admin_client import REACH_TIMEOUT_S
from topics.contract.declared import Topic, Topics
from topics.reading.positions import AtOffset
from topics.reading.reader import TopicReader

__all__ = ["GroupProgress", "Published"]

_NOTHING_COMMITTED: Final = 0
"""The start of a group without a committed offset: this project's groups start at the beginning."""

_POLL_S: Final = 0.05

_EVERYTHING: Final = IsolationLevel.READ_UNCOMMITTED
_COMMITTED: Final = IsolationLevel.READ_COMMITTED


class Published(NamedTuple):
    """A group's committed offset, and the ends of the topics that it publishes to: all its records are below them.

    Attributes:
        consolidated: the group's committed offset.
        changes: the high watermark of ``factor-changes``, read after the committed offset.
        letters: the high watermark of the dead letters, read after the committed offset.
    """

    consolidated: int
    changes: int
    letters: int


class GroupProgress:
    """Reads the progress of one group.

    Args:
        config: for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        group: the group's id.
        topics: the declared topics; the group reads ``executions``.
    """

    def __init__(self, config: Mapping[str, str | int], group: str, topics: Topics) -> None:
        self._config = dict(config)
        self._topics = topics
        watched = {**self._config, "group.id": group, "enable.auto.commit": False, "log_level": 2}
        # While a transaction is open, a read_committed client waits for the group's offsets until it times out.
        self._bystander = Consumer({**watched, "isolation.level": "read_uncommitted"})
        self._admin = AdminClient({**self._config, "log_level": 2})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_consumer(self._bystander, "progress")

    def offsets(self) -> tuple[int, int]:
        """The numbers of consolidated offsets and of all offsets, over all partitions, for a progress bar.

        Raises:
            InfrastructureError: Kafka does not answer.
        """
        through, ends = self._through(), self._ends(_EVERYTHING, self._topics.executions)
        return sum(through.values()), sum(ends.values())

    def committed(self) -> dict[int, int | None]:
        """The group's committed offset of each partition; None where it has none.

        Raises:
            InfrastructureError: Kafka does not answer.
        """
        places = self._places(self._topics.executions)

        def ask() -> dict[int, int | None]:
            answer = self._bystander.committed(places, timeout=ASK_S)
            return {place.partition: committed_offset(place) for place in answer}

        try:
            return ask_for_offsets(ask, limit_s=REACH_TIMEOUT_S)
        except KafkaException as error:
            raise _unanswered("the group's offsets", error) from error

    def published(self) -> dict[int, Published]:
        """The group's progress in each partition, and the end of everything that it had published by then.

        1. Read the committed offsets, which are in the same transactions as the published records.
        2. *After the answer*, read the high watermarks. The broker ends a transaction partition by partition, so an
           offset may be readable before the records are, and another producer's open transaction may hide them for
           longer. But the records were written before, so they are below the high watermarks.

        Raises:
            InfrastructureError: Kafka does not answer.
        """
        # 1.
        through = self._through()
        # 2.
        changes = self._ends(_EVERYTHING, self._topics.factor_changes)
        letters = self._ends(_EVERYTHING, self._topics.dlq)
        return {one: Published(offset, changes[one], letters[one]) for one, offset in through.items()}

    def wait_decided(self, *topics: Topic, limit_s: float) -> bool:
        """Wait until every transaction that is open in these topics now is committed or aborted.

        Kafka answers a commit before its markers are written. Until they are, readers do not get the committed records.

        Returns:
            Whether that was so within the limit.

        Raises:
            InfrastructureError: Kafka does not answer.
        """
        deadline = time.monotonic() + limit_s
        for topic in topics:
            wanted = self._ends(_EVERYTHING, topic)
            while any(end < wanted[part] for part, end in self._ends(_COMMITTED, topic).items()):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_POLL_S)
        return True

    def is_finished(self) -> bool:
        """Whether the group has no lag, and all records of its worker can be read.

        1. No topic may have an open transaction: it might hide a record that the worker publishes again into the
           source.
        2. There must be no records after the committed offsets.

        Raises:
            InfrastructureError: Kafka does not answer.
        """
        # Read before the ends: a commit in between can make the result False, but never wrongly True.
        through = self._through()
        # 1.
        topics = (self._topics.executions, self._topics.factor_changes, self._topics.factors, self._topics.dlq)
        if any(self._ends(_COMMITTED, topic) != self._ends(_EVERYTHING, topic) for topic in topics):
            return False
        # 2.
        ends = self._ends(_EVERYTHING, self._topics.executions)
        return not any(
            offset < ends[partition] and self._has_record(partition, offset) for partition, offset in through.items()
        )

    def _has_record(self, partition: int, offset: int) -> bool:
        with TopicReader(self._config, self._topics.executions.name, AtOffset(partition, offset)) as reader:
            return next(reader.until_end(), None) is not None

    def _through(self) -> dict[int, int]:
        return {
            partition: _NOTHING_COMMITTED if offset is None else offset
            for partition, offset in self.committed().items()
        }

    def _ends(self, isolation: IsolationLevel, topic: Topic) -> dict[int, int]:
        """The ends of all partitions, with one question for each leader."""
        partitions = range(self._topics.partitions)
        try:
            return ends_of(self._admin, topic.name, partitions, isolation, limit_s=REACH_TIMEOUT_S)
        except KafkaException as error:
            raise _unanswered(f"the end of {topic.name}", error) from error

    def _places(self, topic: Topic) -> list[TopicPartition]:
        return [TopicPartition(topic.name, partition) for partition in range(self._topics.partitions)]


def _unanswered(what: str, error: KafkaException) -> InfrastructureError:
    return InfrastructureError(f"{what} cannot be read: {error.args[0].str()}")
