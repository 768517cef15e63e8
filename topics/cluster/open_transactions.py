"""What open transactions hold back: records between the last stable offset and the end, offsets of a group."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from topics.cluster.patience import ask_patiently

__all__ = ["ends_of", "wait_until_offsets_settled", "wait_until_settled"]

_ASK_LIMIT_S: Final = 30.0
_FIRST_POLL_S: Final = 0.01
_GREATEST_POLL_S: Final = 0.2


def wait_until_settled(
    admin: AdminClient,
    topic: str,
    partitions: Iterable[int],
    *,
    limit_s: float,
    waiting: Callable[[list[int]], None] | None = None,
) -> list[int]:
    """Wait until every transaction that has records in the partitions now is committed or aborted.

    That is when the last stable offset has come to what is the partition's end now. Blocks.

    Args:
        admin: asks.
        topic: the topic.
        partitions: its partitions.
        limit_s: how long to wait.
        waiting: told before each wait in which partitions something is open.

    Returns:
        The partitions in which something is open after that; empty: in none.

    Raises:
        KafkaException: Kafka does not answer.
    """
    wanted = list(partitions)
    ends = ends_of(admin, topic, wanted, IsolationLevel.READ_UNCOMMITTED)

    def behind() -> list[int]:
        stable = ends_of(admin, topic, wanted, IsolationLevel.READ_COMMITTED)
        return sorted(partition for partition, end in ends.items() if stable[partition] < end)

    return _wait(behind, limit_s, waiting)


def wait_until_offsets_settled(
    admin: AdminClient,
    group: str,
    topic: str,
    partitions: Iterable[int],
    *,
    limit_s: float,
    waiting: Callable[[list[int]], None] | None = None,
) -> list[int]:
    """Wait until every transaction that was sent offsets of these partitions is committed or aborted (KIP-447).

    Blocks.

    Args:
        admin: asks.
        group: the consumer group.
        topic: the topic that it reads.
        partitions: its partitions.
        limit_s: how long to wait.
        waiting: told before each wait which partitions' offsets are in an open transaction.

    Returns:
        The partitions whose offsets are in an open transaction after that; empty: none.

    Raises:
        KafkaException: Kafka does not answer, or refuses.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]

    def ask() -> list[int]:
        answer = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, places)], require_stable=True, request_timeout=_ASK_LIMIT_S
        )[group].result()
        failed = [place for place in answer.topic_partitions if place.error is not None]
        for place in failed:
            if place.error.code() != KafkaError.UNSTABLE_OFFSET_COMMIT:
                raise KafkaException(place.error)
        return sorted(place.partition for place in failed)

    return _wait(lambda: ask_patiently(ask, limit_s=_ASK_LIMIT_S), limit_s, waiting) if places else []


def ends_of(admin: AdminClient, topic: str, partitions: Iterable[int], isolation: IsolationLevel) -> dict[int, int]:
    """Of each partition, one past its last record, or its last stable offset.

    Args:
        admin: asks.
        topic: the topic.
        partitions: its partitions.
        isolation: of everything, or of what is committed.

    Raises:
        KafkaException: Kafka does not answer.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]
    if not places:
        return {}
    question = {place: OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]

    def ask() -> dict[int, int]:
        answers = admin.list_offsets(question, isolation_level=isolation, request_timeout=_ASK_LIMIT_S)
        return {place.partition: answer.result().offset for place, answer in answers.items()}

    return ask_patiently(ask, limit_s=_ASK_LIMIT_S)


def _wait(
    still_open: Callable[[], list[int]], limit_s: float, waiting: Callable[[list[int]], None] | None
) -> list[int]:
    """Ask until nothing is open, or the time is over; what is open then."""
    deadline = time.monotonic() + limit_s
    pause_s = _FIRST_POLL_S
    while found := still_open():
        if time.monotonic() >= deadline:
            return found
        if waiting is not None:
            waiting(found)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _GREATEST_POLL_S)
    return []
