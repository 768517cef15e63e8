"""Which partitions this process is to serve: a consumer group in which nothing is ever read.

It is convenience: a process that believes it has a partition and has it not writes nothing, see
:mod:`streams.sink.ownership`. Committed offsets are for lag tools; nobody begins at them.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from models.errors import ContractError
from topics.cluster.closing import close_consumer

__all__ = ["Membership"]

_HEARTBEATS_A_SESSION: Final = 3

_REFUSED: Final = frozenset(
    {
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


class Membership:
    """One member of the group.

    Args:
        config: for librdkafka.
        group: the group's id.
        topic: whose partitions are shared.
        session_timeout_s: seconds after which a silent member's partitions go to others.

    Attributes:
        assigned: the partitions that are this member's.
    """

    def __init__(self, config: Mapping[str, str | int], group: str, topic: str, session_timeout_s: float) -> None:
        session_ms = int(session_timeout_s * 1_000)
        settings: dict[str, Any] = {
            **config,
            "group.id": group,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // _HEARTBEATS_A_SESSION,
            # Whoever keeps a partition goes on meanwhile.
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "latest",
            "allow.auto.create.topics": False,
            "log_level": 2,
        }
        self._group = group
        self._topic = topic
        self.assigned: set[int] = set()
        self._consumer = Consumer(settings)
        self._consumer.subscribe([topic], on_assign=self._gained, on_revoke=self._gone, on_lost=self._gone)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Leaves the group: others have the partitions at once.
        close_consumer(self._consumer, f"group {self._group}")

    def poll(self) -> None:
        """Take in what the group has decided; :attr:`assigned` is current then.

        Raises:
            ContractError: this client may not be in the group, or there is no such topic.
        """
        message = self._consumer.poll(0)
        error = None if message is None else message.error()
        if error is not None and (error.fatal() or error.code() in _REFUSED):
            raise ContractError(f"group {self._group}: {error.str()}. See `consolidator topics acls`")

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the partitions' positions, for lag tools. Does not wait for the broker's answer."""
        known = [TopicPartition(self._topic, one, offset) for one, offset in offsets.items() if one in self.assigned]
        if not known:
            return
        try:
            self._consumer.commit(offsets=known, asynchronous=True)
        except KafkaException:
            # Nobody depends on it, and the next cut commits again.
            return

    def _gained(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.incremental_assign(places)
        consumer.pause(places)
        self.assigned |= {place.partition for place in places}

    def _gone(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self.assigned -= {place.partition for place in places}
        consumer.incremental_unassign(places)
