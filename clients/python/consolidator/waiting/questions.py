"""The questions that a wait has for Kafka: how far the group is, and where partitions begin and end."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    OffsetSpec,
)

from consolidator.connecting.closing import close_consumer
from consolidator.connecting.connection_errors import ConnectionErrors
from consolidator.connecting.offsets import (
    ASK_S,
    ask_for_offsets,
    committed_offset,
    offset_at_time,
    require_offsets,
    told_offset,
)
from consolidator.connecting.permissions import FORBIDDEN, not_permitted
from consolidator.errors import ConsolidatorError, ContractError, InfrastructureError

__all__ = ["Names", "Questions"]

_EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # a function without hints
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]

_SOURCE, _CHANGES, _FACTORS, _LETTERS = "executions", "factor-changes", "factors", "executions.dlq"

_REASONS: Final = {
    _SOURCE: "finds the copy of an event that came under another key",
    _CHANGES: "reads changes",
    _FACTORS: "looks whether transactions are open in it",
    _LETTERS: "reads why an event is a dead letter",
}

_COORDINATOR_S: Final = 30.0
"""librdkafka may end the process if a request's time is over before it was sent (confluentinc/librdkafka#4605). In this
time a silent coordinator is replaced."""

_Answer = TypeVar("_Answer")


class Names(NamedTuple):
    """The names of an installation.

    Attributes:
        group: the worker's group, which is its application id.
        executions: the source topic.
        changes: the topic ``factor-changes``.
        factors: the topic ``factors``.
        letters: the dead letters' topic.
    """

    group: str
    executions: str
    changes: str
    factors: str
    letters: str

    @classmethod
    def of(cls, group: str, prefix: str) -> "Names":
        """The names under a prefix."""
        return cls(group, *(f"{prefix}{name}" for name in (_SOURCE, _CHANGES, _FACTORS, _LETTERS)))

    def permission(self, topic: str) -> str:
        """What has to be permitted for a topic, with the reason."""
        kind = {name: kind for kind, name in zip(_REASONS, self[1:], strict=True)}.get(topic)
        return f"Read on topic {topic} ({'reads it' if kind is None else 'wait_for: ' + _REASONS[kind]})"


class Questions:
    """Asks, for many waits at the same time.

    Args:
        config: for librdkafka.
        names: the installation's.
    """

    def __init__(self, config: Mapping[str, str | int], names: Names) -> None:
        self._names = names
        self._errors = ConnectionErrors(config)
        self._partitions: int | None = None
        self._may_look = False
        watched: dict[str, Any] = {**config, "error_cb": self._errors.remember}
        self._admin = AdminClient(watched)
        # It asks for offsets and never joins. While a transaction is open, a read_committed client waits for the
        # group's offsets until it times out.
        group = {"group.id": names.group, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
        self._bystander = Consumer({**watched, **group})

    def close(self) -> None:
        """Leave the connections."""
        close_consumer(self._bystander)

    def partitions(self, deadline: float) -> int:
        """How many partitions the source has. It is asked once, as the number is fixed for a topic's life.

        Raises:
            ContractError: there is no such topic.
            AuthorizationError: this client may not see it.
            InfrastructureError: Kafka does not answer in time.
        """
        if self._partitions is None:
            topic = self._names.executions

            def ask() -> int:
                # Unlike a request for metadata, this one creates no topic.
                answer = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_within(deadline))
                return len(answer[topic].result().partitions)

            self._partitions = self._answered(ask, deadline, f"topic {topic}", self._names.permission(topic))
        return self._partitions

    def committed(self, partition: int, deadline: float) -> int | None:
        """The group's committed offset of a partition; None: there is none.

        Raises:
            AuthorizationError: this client may not look at the group.
            InfrastructureError: Kafka does not answer in time.
        """
        place = TopicPartition(self._names.executions, partition)

        def ask() -> int | None:
            if not self._may_look:
                self._require_look(place, deadline)
            [answer] = self._bystander.committed([place], timeout=_within(deadline))
            return committed_offset(answer)

        permission = f"Describe on group {self._names.group} (wait_for: asks how far the worker is)"
        return self._answered(ask, deadline, f"the offsets of group {self._names.group}", permission)

    def _require_look(self, place: TopicPartition, deadline: float) -> None:
        """Ask for the group's offset in a way that says whether it is permitted: a consumer only gets no answer.

        Raises:
            KafkaException: it is not, or there is no answer.
        """
        question = [ConsumerGroupTopicPartitions(self._names.group, [place])]
        answer = self._admin.list_consumer_group_offsets(question, request_timeout=_COORDINATOR_S)[self._names.group]
        try:
            answer.result(_within(deadline))
        except TimeoutError:
            reason = f"no answer from the coordinator of group {self._names.group}"
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, reason)) from None  # noqa: SLF001
        self._may_look = True

    def firsts(self, topics: Collection[str], partition: int, deadline: float) -> dict[str, int]:
        """The first offset of a partition in each of some topics.

        Raises:
            AuthorizationError: this client may not read one of them.
            InfrastructureError: Kafka does not answer in time.
        """
        return self._ends(topics, partition, _EARLIEST, IsolationLevel.READ_UNCOMMITTED, deadline)

    def written(self, topics: Collection[str], partition: int, deadline: float) -> dict[str, int]:
        """The high watermark of a partition in each of some topics; raises as :meth:`firsts`."""
        return self._ends(topics, partition, _LATEST, IsolationLevel.READ_UNCOMMITTED, deadline)

    def decided(self, topics: Collection[str], partition: int, deadline: float) -> dict[str, int]:
        """The last stable offset of a partition in each of some topics; raises as :meth:`firsts`."""
        return self._ends(topics, partition, _LATEST, IsolationLevel.READ_COMMITTED, deadline)

    def offset_at(self, topic: str, partition: int, timestamp_ms: int, deadline: float) -> int | None:
        """The offset of the first record of a partition at or after a time; None: there is none that late.

        Raises:
            AuthorizationError: this client may not read the topic.
            InfrastructureError: Kafka does not answer in time.
        """
        question = [TopicPartition(topic, partition, max(0, timestamp_ms))]

        def ask() -> int | None:
            [answer] = self._bystander.offsets_for_times(question, timeout=_within(deadline))
            return offset_at_time(answer)

        return self._answered(ask, deadline, f"the offsets of {topic}", self._names.permission(topic))

    def failure(self, error: KafkaError, what: str, permission: str) -> ConsolidatorError:
        """The error for a failed request: who has to act, and what to do.

        Args:
            error: librdkafka's.
            what: what cannot be read.
            permission: what the request needs.
        """
        code = error.code()
        if code in FORBIDDEN:
            return not_permitted(permission)
        if code in _MISSING:
            return ContractError(
                f"{what} cannot be read: {error.str()}. To do: check CONSOLIDATOR_TOPIC_PREFIX, CONSOLIDATOR_APP_ID "
                "and the partition"
            )
        # If the client itself is refused, only its connections' errors say so.
        self._admin.poll(0)
        self._errors.require_no_refusal()
        return InfrastructureError(f"{what} cannot be read: {error.name()}: {error.str()}")

    def _ends(
        self, topics: Collection[str], partition: int, spec: OffsetSpec, isolation: IsolationLevel, deadline: float
    ) -> dict[str, int]:
        question = {TopicPartition(topic, partition): spec for topic in topics}
        asked = ""

        def ask() -> dict[str, int]:
            nonlocal asked
            limit_s = _within(deadline)
            # One request for each leader, whatever the number of topics.
            answers = self._admin.list_offsets(question, isolation_level=isolation, request_timeout=limit_s)
            found = {}
            for place, answer in answers.items():
                asked = place.topic
                # One second more than librdkafka's own limit, whose error says more.
                offset = {partition: told_offset(answer, limit_s + 1)}
                found[asked] = require_offsets(self._admin, asked, offset, [partition])[partition]
            return found

        try:
            return self._patiently(ask, deadline)
        except KafkaException as error:
            what = f"the offsets of {asked} partition {partition}"
            raise self.failure(error.args[0], what, self._names.permission(asked)) from error

    def _answered(self, ask: Callable[[], _Answer], deadline: float, what: str, permission: str) -> _Answer:
        try:
            return self._patiently(ask, deadline)
        except KafkaException as error:
            raise self.failure(error.args[0], what, permission) from error

    def _patiently(self, ask: Callable[[], _Answer], deadline: float) -> _Answer:
        return ask_for_offsets(ask, limit_s=max(0.0, deadline - time.monotonic()))


def _within(deadline: float) -> float:
    """The time limit of one request. A late one gets some, too: its error says more than no request would."""
    return min(ASK_S, max(1.0, deadline - time.monotonic()))


_MISSING: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's names
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
