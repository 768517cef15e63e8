"""The ends of partitions, read with one request for each leader."""

from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from consolidator.connecting.offsets import ASK_S, ask_for_offsets, require_offsets, told_offset

__all__ = ["ends_of", "offsets_at"]

_NONE_SO_LATE: Final = -1
"""The answer to a request for the offset of a time after which there is no record."""


def ends_of(
    admin: AdminClient,
    topic: str,
    partitions: Iterable[int],
    isolation: IsolationLevel,
    *,
    limit_s: float,
    silent: Callable[[KafkaException], None] | None = None,
) -> dict[int, int]:
    """The high watermark, or the last stable offset, of each partition.

    Args:
        admin: the client.
        topic: the topic.
        partitions: its partitions.
        isolation: read uncommitted for the high watermark, read committed for the last stable offset.
        limit_s: how long leaders that do not answer are asked again.
        silent: called each time that one does not answer.

    Raises:
        KafkaException: Kafka does not answer; the message names a partition without an answer, and its leader.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]
    if not places:
        return {}
    question = {place: OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]

    def ask() -> dict[int, int]:
        answers = admin.list_offsets(question, isolation_level=isolation, request_timeout=ASK_S)
        ends = {place.partition: told_offset(answer) for place, answer in answers.items()}
        return require_offsets(admin, topic, ends, [place.partition for place in places])

    return ask_for_offsets(ask, limit_s=limit_s, silent=silent)


def offsets_at(
    admin: AdminClient, topic: str, partitions: Iterable[int], milliseconds: int, *, limit_s: float
) -> dict[int, int | None]:
    """The first offset of each partition whose record was published at or after a time; None: there is none so late.

    Args:
        admin: the client.
        topic: the topic.
        partitions: its partitions.
        milliseconds: the time, since the epoch.
        limit_s: how long leaders that do not answer are asked again.

    Raises:
        KafkaException: Kafka does not answer; the message names a partition without an answer, and its leader.
    """
    wanted = [*partitions]
    spec = OffsetSpec.for_timestamp(milliseconds)

    def ask() -> dict[int, int | None]:
        question = {TopicPartition(topic, partition): spec for partition in wanted}
        answers = admin.list_offsets(question, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ASK_S)
        found = {place.partition: told_offset(answer) for place, answer in answers.items()}
        late = [partition for partition, offset in found.items() if offset == _NONE_SO_LATE]
        known = require_offsets(admin, topic, found, [partition for partition in wanted if partition not in late])
        return {**known, **dict.fromkeys(late)}

    return ask_for_offsets(ask, limit_s=limit_s) if wanted else {}
