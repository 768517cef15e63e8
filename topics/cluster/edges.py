"""Where partitions begin and end, asked for all of them at once: one question a leader, however many there are."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from topics.cluster.offsets import ASK_S, ask_for_offsets, require_offsets, told_offset

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["edges_of"]

_EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # a function without hints
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]


def edges_of(
    admin: AdminClient, topic: str, partitions: Collection[int], *, settled: Iterable[int], limit_s: float
) -> dict[int, tuple[int, int]]:
    """Of each partition its first offset, and the one after its last that is committed.

    Args:
        admin: asks; where it has looked at the cluster before, it knows the leaders.
        topic: the topic.
        partitions: its partitions.
        settled: those of them whose end is that of everything in them, committed or not.
        limit_s: after which it is not asked again.

    Raises:
        KafkaException: Kafka does not answer, or refuses; names a partition that has no answer, and its leader.
    """
    everything = sorted(set(settled) & {*partitions})

    def ask() -> dict[int, tuple[int, int]]:
        # All questions are under way before the first answer is waited for.
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
    """Ask, and return what waits for the answer."""
    question = {TopicPartition(topic, partition): spec for partition in partitions}
    answers: dict[TopicPartition, Future[Any]] = (
        admin.list_offsets(question, isolation_level=isolation, request_timeout=ASK_S) if question else {}
    )

    def wait() -> dict[int, int]:
        # One second on top: librdkafka's own limit comes first, and says more.
        return {place.partition: told_offset(answer, ASK_S + 1) for place, answer in answers.items()}

    return wait
