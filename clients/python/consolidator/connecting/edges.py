"""The first and last offsets of partitions, read with one request for each leader."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from consolidator.connecting.offsets import ASK_S, ask_for_offsets, require_offsets, told_offset

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["edges_of"]

_EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # a function without hints
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]


def edges_of(
    admin: AdminClient, topic: str, partitions: Collection[int], *, settled: Iterable[int], limit_s: float
) -> dict[int, tuple[int, int]]:
    """The first offset of each partition, and its last stable offset.

    Args:
        admin: the client; if it has read the metadata before, it knows the leaders.
        topic: the topic.
        partitions: its partitions.
        settled: those partitions for which the end is the high watermark, which includes open transactions.
        limit_s: the time after which it is not asked again, in seconds.

    Raises:
        KafkaException: Kafka does not answer, or refuses; the message names a partition without an answer, and its
            leader.
    """
    everything = sorted(set(settled) & {*partitions})

    def ask() -> dict[int, tuple[int, int]]:
        # All requests are sent before the first answer is waited for.
        first = _asked(admin, topic, partitions, _EARLIEST, IsolationLevel.READ_UNCOMMITTED)
        committed = _asked(admin, topic, partitions, _LATEST, IsolationLevel.READ_COMMITTED)
        written = _asked(admin, topic, everything, _LATEST, IsolationLevel.READ_UNCOMMITTED)
        firsts = require_offsets(admin, topic, first(), partitions)
        ends = require_offsets(admin, topic, committed() | written(), partitions)
        return {partition: (firsts[partition], ends[partition]) for partition in partitions}

    return ask_for_offsets(ask, limit_s=limit_s) if partitions else {}


def _asked(
    admin: AdminClient, topic: str, partitions: Collection[int], spec: OffsetSpec, isolation: IsolationLevel
) -> Callable[[], dict[int, int]]:
    """Send the request, and return a function that waits for the answer."""
    question = {TopicPartition(topic, partition): spec for partition in partitions}
    answers: dict[TopicPartition, Future[Any]] = (
        admin.list_offsets(question, isolation_level=isolation, request_timeout=ASK_S) if question else {}
    )

    def wait() -> dict[int, int]:
        # One second more than librdkafka's own limit, whose error says more.
        return {place.partition: told_offset(answer, ASK_S + 1) for place, answer in answers.items()}

    return wait
