"""Decides which numbers in answers of Kafka's clients are offsets, and which mean that there is no answer.

Every client has negative numbers that are no offsets, and some of them have a meaning. All requests for offsets use
this module.

========================================================= ====== ====================================================
the question                                               below 0 what it means
========================================================= ====== ====================================================
``AdminClient.list_offsets``, of an end or a beginning     -1001  *no answer*, without an error: the leader is silent
``AdminClient.list_offsets``, of a time                    -1     no record is that late; -1001: *no answer*
``Consumer.get_watermark_offsets``                         any    *no answer*; a leader that is silent is an exception
``Consumer.committed``, ``list_consumer_group_offsets``    -1001  nothing is committed, unless there is an error beside
``Consumer.offsets_for_times``                             -1     no record is that late, unless there is an error
``Message.offset`` of a delivered record                   -1001  it is written, but the broker did not say where
aiokafka's ``end_offsets`` and ``beginning_offsets``       -1     *no answer*; so is a partition that is left out
aiokafka's ``committed``                                   None   nothing is committed, unless the whole answer is an
                                                                  error, which the worker's transport looks for
========================================================= ====== ====================================================

All other negative numbers mean *no answer*, too. The request is then repeated for as long as the caller waits; after
that, an error names the partition and its leader. Such a number must never be used as an offset: compared with an end
of -1001, no transaction would seem to be open, and a new owner would recover its state before it is complete.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from confluent_kafka import OFFSET_END, OFFSET_INVALID, KafkaError, KafkaException, Message, TopicPartition

from consolidator.connecting.patience import ask_patiently

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = [
    "ASK_S",
    "ask_for_offsets",
    "committed_offset",
    "delivered_offset",
    "offset_at_time",
    "require_offsets",
    "silence",
    "told_offset",
    "unanswered",
]

ASK_S: Final = 5.0
"""The time limit of one request. A leader that does not answer is replaced after ``broker.session.timeout.ms`` (9 s),
and only a new request goes to its successor."""

_LOOK_S: Final = 5.0

_SILENT: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's names
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
    }
)
"""The errors of a request for an offset while a leader or a coordinator does not answer, or is being replaced."""

_Answer = TypeVar("_Answer")
_Place = TypeVar("_Place")


class _Client(Protocol):
    """An admin client or a consumer."""

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> object:
        """Request the cluster's metadata, so that the client knows new leaders."""


def ask_for_offsets(
    question: Callable[[], _Answer], *, limit_s: float, silent: Callable[[KafkaException], None] | None = None
) -> _Answer:
    """The answer to a request for offsets. It is repeated while a leader or coordinator does not answer, or moves.

    Args:
        question: asks once, for at most :data:`ASK_S`.
        limit_s: the time after which it is not asked again, in seconds.
        silent: called each time that there was no answer.

    Raises:
        KafkaException: the last request failed.
    """
    return ask_patiently(question, limit_s=limit_s, passing=_SILENT, failed=silent)


def unanswered(offsets: Mapping[_Place, int | None], asked: Iterable[_Place]) -> list[_Place]:
    """The partitions without an offset in an answer: they are missing, or their number is below 0."""
    return [place for place in asked if (offset := offsets.get(place)) is None or offset < 0]


def require_offsets(client: _Client, topic: str, offsets: Mapping[int, int], asked: Iterable[int]) -> dict[int, int]:
    """The offsets by partition: first offsets or ends, which every partition has.

    Args:
        client: the client that asked.
        topic: the topic.
        offsets: the answer.
        asked: the requested partitions.

    Raises:
        KafkaException: there is none for a partition. The message names it and its leader; the request may be repeated.
    """
    wanted = list(asked)
    missing = unanswered(offsets, wanted)
    if missing:
        raise KafkaException(silence(topic, missing, _leaders(client, topic)))
    return {partition: offsets[partition] for partition in wanted}


def told_offset(answer: "Future[Any]", timeout_s: float | None = None) -> int:
    """The offset in an answer of ``list_offsets``; below 0: the leader did not answer.

    Args:
        answer: the client's future.
        timeout_s: how long to wait; None: as long as the client does.

    Raises:
        KafkaException: the request was refused.
    """
    try:
        offset: int = (answer.result() if timeout_s is None else answer.result(timeout_s)).offset
    except TimeoutError:
        return OFFSET_INVALID
    except KafkaException as error:
        if error.args[0].code() in _SILENT:
            return OFFSET_INVALID
        raise
    return offset


def silence(topic: str, partitions: Sequence[int], leaders: Mapping[int, str]) -> KafkaError:
    """The error for partitions whose leaders gave no offset.

    Args:
        topic: the topic.
        partitions: those partitions.
        leaders: their leaders, as far as they are known.
    """
    named = ", ".join(f"partition {each} (its leader: {leaders.get(each, 'not known')})" for each in partitions)
    return KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"{topic}: Kafka gave no offset for {named}")


def committed_offset(place: TopicPartition) -> int | None:
    """The committed offset of a group for a partition; None: there is none.

    Raises:
        KafkaException: the answer has an error, or an unknown negative number.
    """
    return _offset_or(OFFSET_INVALID, place)


def offset_at_time(place: TopicPartition) -> int | None:
    """The offset of the first record of a partition at or after a time; None: no record is that late.

    Raises:
        KafkaException: the answer has an error, or an unknown negative number.
    """
    return _offset_or(OFFSET_END, place)


def delivered_offset(message: Message) -> int | None:
    """The offset of a delivered record; None: the broker did not return it."""
    offset = message.offset()
    return None if offset is None or offset < 0 else offset


def _offset_or(none: int, place: TopicPartition) -> int | None:
    if place.error is not None:
        raise KafkaException(place.error)
    if place.offset == none:
        return None
    if place.offset < 0:
        raise KafkaException(silence(place.topic, [place.partition], {}))
    return place.offset


def _leaders(client: _Client, topic: str) -> dict[int, str]:
    """The present leader of each partition of a topic; empty if it cannot be read."""
    with suppress(KafkaException):
        metadata: Any = client.list_topics(topic, timeout=_LOOK_S)
        return {
            number: _named(metadata.brokers.get(partition.leader), partition.leader)
            for number, partition in metadata.topics[topic].partitions.items()
        }
    return {}


def _named(broker: Any, number: int) -> str:
    return f"broker {number}" if broker is None else f"broker {number} at {broker.host}:{broker.port}"
