"""What the brokers themselves say: the requests that they know, their clock, and who has transactions open."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeVar

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.structs import TopicPartition

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.diagnosis.reading.answer import Unanswered
from streams.diagnosis.reading.pins import Holder, Pin
from streams.diagnosis.reading.protocol import (
    DescribeProducers,
    DescribeQuorum,
    DescribeTransactions,
    ListTransactions,
    leader_clock_ms,
)
from streams.runtime.clock import system_ms
from streams.worker.transactions.asyncio_client import asyncio_client
from streams.worker.transactions.small_rounds.requests import ApiVersions

__all__ = ["BrokerFacts", "Clock", "ask_brokers"]

_LIMIT_S: Final = 15.0
_REQUEST_MS: Final = 5_000
_COORDINATOR_S: Final = 5.0
_AGAIN_S: Final = 0.2
_OPEN: Final = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")
_MOST_TRANSACTIONS: Final = 500
"""So many open transactions of one coordinator are described."""

_REFUSED_CODES: Final = frozenset({29, 31, 53})
"""Kafka's TOPIC, CLUSTER and TRANSACTIONAL_ID_AUTHORIZATION_FAILED."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Clock:
    """The broker's clock, between two looks at this machine's; all in milliseconds since the epoch.

    Attributes:
        broker_ms: the broker's.
        before_ms: this machine's, before.
        after_ms: this machine's, after.
    """

    broker_ms: int
    before_ms: int
    after_ms: int


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What the brokers say.

    Attributes:
        highest: by request the highest version that every broker knows.
        clock: the controller's clock; or why it is not known.
        transactions: whether the coordinator of the workers' transactions was found; or why that is not known.
        holders: by topic and partition who has the transaction open that holds the last stable offset back.
    """

    highest: Mapping[int, int]
    clock: Clock | Unanswered
    transactions: bool | Unanswered
    holders: Mapping[tuple[str, int], Holder] = field(default_factory=dict)


def ask_brokers(connection: Connection, transactional_id: str, pins: Iterable[Pin]) -> BrokerFacts:
    """Ask every broker.

    Args:
        connection: how to reach Kafka.
        transactional_id: one of the workers'.
        pins: the partitions whose last stable offset is held back for long.

    Raises:
        InfrastructureError: they do not answer within the limit.
    """
    # aiokafka logs what it raises as well, and asyncio what a signal has left open: without a handler Python would
    # print that.
    for library in ("aiokafka", "asyncio"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        return asyncio.run(asyncio.wait_for(_ask(connection, transactional_id, list(pins)), _LIMIT_S))
    except TimeoutError as error:
        raise InfrastructureError(f"the brokers did not answer within {_LIMIT_S:.0f} s") from error
    except KafkaError as error:
        raise InfrastructureError(f"the brokers cannot be asked: {error}") from error
    except NotImplementedError as error:
        raise InfrastructureError("a broker is older than Kafka 2.4, and says too little of itself") from error


async def _ask(connection: Connection, transactional_id: str, pins: list[Pin]) -> BrokerFacts:
    client = asyncio_client(connection, request_timeout_ms=_REQUEST_MS)
    try:
        await client.bootstrap()
        nodes = sorted(broker.nodeId for broker in client.cluster.brokers())
        return BrokerFacts(
            await _highest(client, nodes),
            await _or_reason(_clock(client)),
            await _or_reason(_coordinator(client, transactional_id)),
            await _holders(client, nodes, pins) if pins else {},
        )
    finally:
        await client.close()


async def _or_reason(question: Awaitable[_Answer | Unanswered]) -> _Answer | Unanswered:
    """The answer; or why the broker gives none."""
    try:
        return await question
    except TransactionalIdAuthorizationFailed:
        return Unanswered("not permitted", is_refused=True)
    except (IncompatibleBrokerVersion, NotImplementedError):
        return Unanswered("the broker does not know this request")
    except KafkaError as error:
        return Unanswered(str(error) or type(error).__name__)


async def _highest(client: AIOKafkaClient, nodes: list[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for number, node in enumerate(nodes):
        answer: Any = await client.send(node, ApiVersions())
        known = {key: highest for key, _, highest, _ in answer.api_keys}
        found = known if number == 0 else {key: min(found[key], known[key]) for key in found.keys() & known.keys()}
    return found


async def _clock(client: AIOKafkaClient) -> Clock | Unanswered:
    before_ms = system_ms()
    answer: Any = await client.send(client.get_random_node(), DescribeQuorum())
    after_ms = system_ms()
    if answer.error_code in _REFUSED_CODES:
        return Unanswered("Describe on the cluster is not permitted", is_refused=True)
    broker_ms = leader_clock_ms(answer)
    return Unanswered("the controller does not say") if broker_ms is None else Clock(broker_ms, before_ms, after_ms)


async def _coordinator(client: AIOKafkaClient, transactional_id: str) -> bool | Unanswered:
    deadline = monotonic() + _COORDINATOR_S
    while True:
        try:
            node: int = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
            break
        except KafkaError as error:
            # The first question in the life of a cluster makes it create __transaction_state.
            if not error.retriable or monotonic() > deadline:
                raise
            await asyncio.sleep(_AGAIN_S)
    # Asked for the permission alone, which the first answer does not always show.
    answer: Any = await _or_reason(client.send(node, DescribeTransactions([transactional_id])))
    codes = set() if isinstance(answer, Unanswered) else {code for code, *_ in answer.transactions}
    return Unanswered("not permitted", is_refused=True) if codes & _REFUSED_CODES else True


async def _holders(client: AIOKafkaClient, nodes: list[int], pins: list[Pin]) -> dict[tuple[str, int], Holder]:
    """Who holds each partition back, from the leaders' side and from the coordinators'.

    1. The leader knows the producer, if this user may read the topic.
    2. The coordinators know the transactions that this user may describe.
    """
    transactions = [one for node in nodes for one in await _open_transactions(client, node)]
    found = {}
    for pin in pins:
        # 1.
        producer_id = await _or_reason(_producer(client, pin))
        # 2.
        theirs = [
            one
            for one in transactions
            if (
                one.producer_id == producer_id
                if isinstance(producer_id, int)
                else (pin.topic, pin.partition) in one.places
            )
        ]
        oldest = min(theirs, key=lambda one: one.start_ms, default=None)
        known_id = producer_id if isinstance(producer_id, int) else None
        if oldest is None:
            found[pin.topic, pin.partition] = Holder(producer_id=known_id)
        else:
            found[pin.topic, pin.partition] = Holder(
                oldest.producer_id, oldest.transactional_id, oldest.start_ms, oldest.timeout_ms
            )
    return found


@dataclass(frozen=True, slots=True)
class _Open:
    transactional_id: str
    producer_id: int
    start_ms: int
    timeout_ms: int
    places: frozenset[tuple[str, int]]


async def _open_transactions(client: AIOKafkaClient, node: int) -> list[_Open]:
    """The transactions that a broker coordinates and that are not over, as far as this user may see them."""
    listed = await _or_reason(client.send(node, ListTransactions(_OPEN)))
    if isinstance(listed, Unanswered) or not listed.transactions:
        return []
    ids = [transactional_id for transactional_id, *_ in listed.transactions[:_MOST_TRANSACTIONS]]
    described = await _or_reason(client.send(node, DescribeTransactions(ids)))
    if isinstance(described, Unanswered):
        return []
    return [
        _Open(
            name,
            producer_id,
            start_ms,
            timeout_ms,
            frozenset((topic, partition) for topic, partitions, _ in topics for partition in partitions),
        )
        for code, name, _, timeout_ms, start_ms, producer_id, _, topics, _ in described.transactions
        if code == 0
    ]


async def _producer(client: AIOKafkaClient, pin: Pin) -> int | Unanswered:
    """The producer whose open transaction begins at a partition's last stable offset."""
    await client.add_topic(pin.topic)
    leader = client.cluster.leader_for_partition(TopicPartition(pin.topic, pin.partition))
    if leader is None or leader < 0:
        return Unanswered("the partition has no leader")
    answer: Any = await client.send(leader, DescribeProducers({pin.topic: [pin.partition]}))
    [(_, [(_, code, _, producers, _)], _)] = answer.topics
    if code:
        return Unanswered("not permitted", is_refused=code in _REFUSED_CODES)
    first = [(start, producer_id) for producer_id, _, _, _, _, start, _ in producers if start >= 0]
    return min(first)[1] if first else Unanswered("the transaction has just ended")
