"""When records were written, by the broker's clock, without reading them: Describe on the topic is enough."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from consolidator.connecting.ends import offsets_at
from consolidator.connecting.offsets import ASK_S, ask_for_offsets, told_offset
from models.errors import InfrastructureError
from streams.runtime.clock import system_ms
from topics.cluster.admin_client import REACH_TIMEOUT_S

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Newest", "newest", "written_at_ms"]

_PRECISION_MS: Final = 500
_FIRST_STEP_MS: Final = 1_000
_LATEST: Final[OffsetSpec] = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call] # a function without hints


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest record of a topic.

    Attributes:
        partition: where it is.
        offset: where it is.
        timestamp_ms: when the broker took it, in milliseconds since the epoch.
        seen_ms: this machine's clock after the answer: the record was there by then.
    """

    partition: int
    offset: int
    timestamp_ms: int
    seen_ms: int


def newest(admin: AdminClient, topic: str, partitions: Iterable[int]) -> Newest | None:
    """The newest record of all partitions (KIP-734); None: there is none. It may be of an aborted transaction.

    Raises:
        InfrastructureError: Kafka does not answer, or does not know the question.
    """
    question = {TopicPartition(topic, partition): _LATEST for partition in partitions}

    def ask() -> list[tuple[int, int, int]]:
        answers: dict[TopicPartition, Future[Any]] = admin.list_offsets(
            question, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ASK_S
        )
        # Below 0 there is no record in the partition, or its leader is silent: it then has no newest record to show.
        return [
            (place.partition, offset, answer.result().timestamp)
            for place, answer in answers.items()
            if (offset := told_offset(answer)) >= 0
        ]

    try:
        found = ask_for_offsets(ask, limit_s=REACH_TIMEOUT_S)
    except KafkaException as error:
        raise InfrastructureError(f"the newest record of {topic}: {error.args[0].str()}") from error
    seen_ms = system_ms()
    return max((Newest(*one, seen_ms) for one in found), key=lambda one: one.timestamp_ms, default=None)


def written_at_ms(admin: AdminClient, topic: str, partition: int, offset: int, now_ms: int) -> int:
    """When the record at an offset was written, to half a second. It may belong to an open transaction.

    1. Go back in growing steps to a time at which the record was not written yet.
    2. Halve the time between that and the step before.

    Args:
        admin: the client.
        topic: the topic; its records have the broker's time.
        partition: the partition.
        offset: the record's.
        now_ms: this machine's clock, in milliseconds since the epoch.

    Raises:
        InfrastructureError: Kafka does not answer.
    """

    def is_before(milliseconds: int) -> bool:
        """Whether the record was written at or after a time."""
        found = offsets_at(admin, topic, [partition], milliseconds, limit_s=REACH_TIMEOUT_S)[partition]
        return found is not None and found <= offset

    try:
        # 1.
        step_ms, late = _FIRST_STEP_MS, now_ms
        early = max(0, now_ms - step_ms)
        while early > 0 and not is_before(early):
            late, step_ms = early, 2 * step_ms
            early = max(0, now_ms - step_ms)
        # 2.
        while late - early > _PRECISION_MS:
            middle = (early + late) // 2
            early, late = (middle, late) if is_before(middle) else (early, middle)
    except KafkaException as error:
        raise InfrastructureError(f"the times of {topic} partition {partition}: {error.args[0].str()}") from error
    return early
