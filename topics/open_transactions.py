"""Where partitions end, and where what is committed in them does: in between are transactions that are open."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from topics.patience import ask_patiently

__all__ = ["ends_of", "wait_until_settled"]

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
    deadline = time.monotonic() + limit_s
    ends = ends_of(admin, topic, wanted, IsolationLevel.READ_UNCOMMITTED)
    pause_s = _FIRST_POLL_S
    while still_open := _behind(ends_of(admin, topic, wanted, IsolationLevel.READ_COMMITTED), ends):
        if time.monotonic() >= deadline:
            return still_open
        if waiting is not None:
            waiting(still_open)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _GREATEST_POLL_S)
    return []


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


def _behind(stable: Mapping[int, int], ends: Mapping[int, int]) -> list[int]:
    return sorted(partition for partition, end in ends.items() if stable[partition] < end)
