"""How far a worker's group has come in its source, asked as a bystander: the group is neither joined nor moved.

An offset is no record: transaction markers take offsets up, too. A group has no lag when a reader placed at its
committed offset comes to the end without a record, whatever the difference of the numbers.
"""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from models.errors import InfrastructureError
from topics.cluster.admin_client import REACH_TIMEOUT_S
from topics.cluster.offsets import ASK_S, ask_for_offsets, committed_offset
from topics.cluster.open_transactions import ends_of
from topics.contract.declared import Topic, Topics
from topics.reading.positions import AtOffset
from topics.reading.reader import TopicReader

__all__ = ["GroupProgress", "Published"]

_NOTHING_COMMITTED: Final = 0
"""Where a group without a committed offset begins: this project's groups begin at the beginning."""

_POLL_S: Final = 0.05

_EVERYTHING: Final = IsolationLevel.READ_UNCOMMITTED
_COMMITTED: Final = IsolationLevel.READ_COMMITTED


class Published(NamedTuple):
    """How far a group was, and where what it had published ends: everything of it is below.

    Attributes:
        consolidated: the group's committed offset.
        changes: the high watermark of ``factor-changes``, asked for after that.
        letters: the high watermark of the dead letters, asked for after that.
    """

    consolidated: int
    changes: int
    letters: int


class GroupProgress:
    """Looks at one group.

    Args:
        config: for librdkafka, as :meth:`topics.cluster.connection.Connection.librdkafka` makes it.
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
        self._bystander.close()

    def offsets(self) -> tuple[int, int]:
        """How many offsets the group is through, and how many there are, over all partitions: for a progress bar.

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
        """How far the group is in each partition, and where all that it had published by then ends.

        1. The committed offsets: they are in the transactions of what is published.
        2. *After the answer*, the high watermarks. The broker ends a transaction partition by partition, so an offset
           may be readable before the records are; and somebody else's open transaction hides them for longer. But
           they were written before: below what is the end of everything by then.

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

        Kafka answers a commit before its markers are written: until then readers do not see what was committed.

        Returns:
            Whether it came to that within the limit.

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
        """Whether the group has no lag, and everything that its worker wrote can be read.

        1. In no topic is a transaction open: a record that is to come back into the source would be seen too late.
        2. Behind the committed offsets there are no records.

        Raises:
            InfrastructureError: Kafka does not answer.
        """
        # Asked before the ends: what is committed meanwhile makes this False, never wrongly True.
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
