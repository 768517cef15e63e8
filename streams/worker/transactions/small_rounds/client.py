"""aiokafka's client for transactions: it finds leaders and coordinators, and retries when they change."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Any, Final, TypeVar

from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import BrokerResponseError
from aiokafka.errors import KafkaError as ClientError
from aiokafka.structs import TopicPartition
from confluent_kafka import KafkaError

from consolidator.connecting.connection import Connection
from streams.worker.transactions.asyncio_client import asyncio_client
from streams.worker.transactions.small_rounds.requests import ApiVersions, is_spoken
from topics.cluster.authorization import require_credentials

__all__ = ["RefusedError", "TransactionClient", "require_accepted"]

_REQUEST_TIMEOUT_MS: Final = 15_000
"""When a broker does not answer in this time, ask for the present leader or coordinator instead."""

_RETRY_S: Final = 0.005
_GREATEST_RETRY_S: Final = 0.25

_BUSY: Final = frozenset(
    {
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
"""Errors of the right broker, which is not ready yet. A leader answers the second one for a coordinator's first one."""

_MOVED: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""Errors that mean that another broker may be the right one now."""

_UNKNOWN_S: Final = 30.0
"""How long a topic may be unknown until it is taken not to exist: brokers learn of a new one one after the other. It is
librdkafka's ``topic.metadata.propagation.max.ms``."""

_Answer = TypeVar("_Answer")


class RefusedError(Exception):
    """A broker answered with an error.

    Args:
        code: Kafka's, as :class:`confluent_kafka.KafkaError` has it.
        what: the subject of the error, such as a topic and a partition.
    """

    def __init__(self, code: int, what: str = "") -> None:
        text = KafkaError(code).str()
        self.error = KafkaError(code, f"{what}: {text}" if what else text)
        super().__init__(self.error.str())


def require_accepted(answers: Iterable[tuple[str, int]]) -> None:
    """Raise if anything was refused.

    Args:
        answers: the subject of each request, and the code of its answer.

    Raises:
        RefusedError: something was refused. Of several errors, one that cannot be retried is raised first.
    """
    refused = sorted(((what, code) for what, code in answers if code), key=lambda answer: answer[1] in _BUSY | _MOVED)
    if refused:
        what, code = refused[0]
        raise RefusedError(code, what)


class TransactionClient:
    """Sends requests to leaders of partitions and to coordinators.

    It runs on the event loop on which it was made.

    Args:
        connection: how to reach Kafka.
    """

    def __init__(self, connection: Connection) -> None:
        self._client = asyncio_client(connection, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        self._config = connection.librdkafka()
        self._accepted: asyncio.Task[None] | None = None
        self._coordinators: dict[tuple[CoordinationType, str], int] = {}

    async def start(self) -> None:
        """Find the brokers.

        Raises:
            ClientError: none of them answers.
        """
        await self._client.bootstrap()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def speaks_the_protocol(self) -> bool:
        """Whether the cluster speaks the newer protocol of transactions."""
        return is_spoken(await self._client.send(self._client.get_random_node(), ApiVersions()))

    async def leader(self, topic: str, partition: int) -> int:
        """The broker that leads a partition.

        Raises:
            RefusedError: there is no leader, or the topic is not known; metadata is then requested again.
        """
        where = f"{topic} partition {partition}"
        leader: int | None = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader < 0:
            await self._client.add_topic(topic)
            leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None:
            raise RefusedError(KafkaError.UNKNOWN_TOPIC_OR_PART, where)
        if leader < 0:
            raise RefusedError(KafkaError.LEADER_NOT_AVAILABLE, where)
        return leader

    async def ask_leader(self, node: int, request: Any) -> Any:
        """Send a request to the leader of partitions, and return its answer."""
        return await self._client.send(node, request)

    async def ask_coordinator(self, of: CoordinationType, name: str, request: Any) -> Any:
        """Send a request to a coordinator, and return its answer.

        Args:
            of: the kind of coordinator.
            name: the group's id, or the transactional id.
            request: the request.
        """
        if (of, name) not in self._coordinators:
            try:
                self._coordinators[of, name] = await self._client.coordinator_lookup(of, name)
            except BrokerResponseError as error:
                raise RefusedError(error.errno) from error
        return await self._client.send(self._coordinators[of, name], request, group=ConnectionGroup.COORDINATION)

    async def persist(self, attempt: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Repeat an attempt until it succeeds; the caller has to set a time limit.

        Args:
            attempt: raises :class:`RefusedError`, or one of aiokafka's errors; may be called any number of times.

        Raises:
            RefusedError: an attempt failed with a permanent error, or its subject does not exist.
            SettingsError: the cluster refuses the credentials or certificates.
            ClientError: aiokafka's error, if it is permanent.
        """
        pause_s = _RETRY_S
        unknown_since: float | None = None
        while True:
            try:
                return await attempt()
            except RefusedError as refused:
                code = refused.error.code()
                if code not in _BUSY | _MOVED:
                    raise
                is_unknown = code == KafkaError.UNKNOWN_TOPIC_OR_PART
                unknown_since = (unknown_since or monotonic()) if is_unknown else None
                if unknown_since is not None and monotonic() - unknown_since > _UNKNOWN_S:
                    raise
                if code in _MOVED:
                    self._look_again()
            except ClientError as error:
                if not error.retriable:
                    raise
                await self._require_credentials()
                self._look_again()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _GREATEST_RETRY_S)

    async def _require_credentials(self) -> None:
        """Raise if the cluster refuses this client: aiokafka treats that like a broker that is down, and only logs it.

        It is checked at intervals while the attempts go on.

        Raises:
            SettingsError: it is refused; the message names the setting.
        """
        if self._accepted is None:
            self._accepted = asyncio.create_task(asyncio.to_thread(require_credentials, self._config))
        elif self._accepted.done():
            accepted, self._accepted = self._accepted, None
            accepted.result()

    def _look_again(self) -> None:
        self._coordinators.clear()
        self._client.force_metadata_update()
