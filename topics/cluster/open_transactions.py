"""Waits for open transactions, which hold back records after the last stable offset, and a group's offsets."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from consolidator.connecting.ends import ends_of
from consolidator.connecting.offsets import ask_for_offsets, committed_offset

__all__ = ["wait_until_offsets_settled", "wait_until_settled"]

_COORDINATOR_S: Final = 30.0
"""The time limit of one request to a group's coordinator. If it is over before the request could be sent, librdkafka
may end the process (confluentinc/librdkafka#4605); in this time a silent coordinator is replaced."""

_FIRST_POLL_S: Final = 0.01
_GREATEST_POLL_S: Final = 0.2


def wait_until_settled(
    admin: AdminClient,
    topic: str,
    partitions: Iterable[int],
    *,
    limit_s: float,
    waiting: Callable[[list[int]], None] | None = None,
    silent: Callable[[KafkaException], None] | None = None,
) -> list[int]:
    """Wait until every transaction that has records in the partitions now is committed or aborted.

    That is so when the last stable offset has reached the partition's present end. Blocks.

    Args:
        admin: the client.
        topic: the topic.
        partitions: its partitions.
        limit_s: how long to wait, for an answer as well.
        waiting: called before each wait with the partitions in which a transaction is open.
        silent: called each time that a partition's leader does not answer.

    Returns:
        The partitions in which a transaction is still open after that; empty: there are none.

    Raises:
        KafkaException: Kafka does not answer.
    """
    wanted = list(partitions)
    deadline = time.monotonic() + limit_s

    def ask(isolation: IsolationLevel) -> dict[int, int]:
        return ends_of(admin, topic, wanted, isolation, limit_s=deadline - time.monotonic(), silent=silent)

    ends = ask(IsolationLevel.READ_UNCOMMITTED)

    def behind() -> list[int]:
        stable = ask(IsolationLevel.READ_COMMITTED)
        return sorted(partition for partition, end in ends.items() if stable[partition] < end)

    return _wait(behind, deadline, waiting)


def wait_until_offsets_settled(
    admin: AdminClient,
    group: str,
    topic: str,
    partitions: Iterable[int],
    *,
    limit_s: float,
    waiting: Callable[[list[int]], None] | None = None,
    silent: Callable[[KafkaException], None] | None = None,
) -> list[int]:
    """Wait until every transaction with a group's offsets for these partitions is committed or aborted (KIP-447).

    Blocks.

    Args:
        admin: the client.
        group: the consumer group.
        topic: the topic that it reads.
        partitions: its partitions.
        limit_s: how long to wait, for an answer as well.
        waiting: called before each wait with the partitions whose offsets are in an open transaction.
        silent: called each time that the group's coordinator does not answer.

    Returns:
        The partitions whose offsets are still in an open transaction after that; empty: there are none.

    Raises:
        KafkaException: Kafka does not answer, or refuses.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]
    deadline = time.monotonic() + limit_s

    def ask() -> list[int]:
        answer = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, places)], require_stable=True, request_timeout=_COORDINATOR_S
        )[group].result()
        return _unstable(answer.topic_partitions)

    def unstable() -> list[int]:
        return ask_for_offsets(ask, limit_s=deadline - time.monotonic(), silent=silent)

    return _wait(unstable, deadline, waiting) if places else []


def _unstable(places: Iterable[TopicPartition]) -> list[int]:
    """The partitions whose offsets are in an open transaction.

    Raises:
        KafkaException: the answer has another error.
    """
    found = []
    for place in places:
        if place.error is not None and place.error.code() == KafkaError.UNSTABLE_OFFSET_COMMIT:
            found.append(place.partition)
        else:
            committed_offset(place)
    return sorted(found)


def _wait(
    still_open: Callable[[], list[int]], deadline: float, waiting: Callable[[list[int]], None] | None
) -> list[int]:
    """Ask until no transaction is open, or the time is over; return the partitions with an open one."""
    pause_s = _FIRST_POLL_S
    while found := still_open():
        if time.monotonic() >= deadline:
            return found
        if waiting is not None:
            waiting(found)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _GREATEST_POLL_S)
    return []
