"""The ends of partitions, read with one request for each leader."""

from collections.abc import Callable, Iterable

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from consolidator.connecting.offsets import ASK_S, ask_for_offsets, require_offsets, told_offset

__all__ = ["ends_of"]


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
