"""Reads the brokers' state of transactions: committed ones, known transactional ids, and known producers."""

import asyncio
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar
from uuid import uuid4

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.structs import TopicPartition
from confluent_kafka import Producer

from streams.diagnosis.reading.protocol import DescribeProducers, DescribeTransactions
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader

__all__ = ["active_producers", "behind_an_open_transaction", "committed_transactions", "remembered_ids"]

_TOPIC: Final = "__transaction_state"
_KEY: Final = struct.Struct(">hh")
"""Its version, then how long the transactional id is."""

_VALUE: Final = struct.Struct(">hqhib")
"""Its version, the producer's id and epoch, the timeout, the state; what follows differs between the versions."""

_COMPLETE_COMMIT: Final = 4
"""The state in which every marker of a commit is written (Kafka's ``TransactionState``)."""

_SMALL: Final = ("-a", "-b")
"""How the ids of small rounds end: docs/decisions/0017."""


def committed_transactions(config: Mapping[str, str | int], app_id: str) -> dict[str, int]:
    """Count the transactions that the broker has committed, by the kind of their producer.

    A transaction without anything in it changes no state, and is not counted.

    Args:
        config: for librdkafka.
        app_id: the prefix of the transactional ids.
    """
    found: Counter[str] = Counter()
    with TopicReader(config, _TOPIC, Beginning()) as reader:
        for record in reader.until_end():
            if record.key is None or record.value is None:
                continue
            _, length = _KEY.unpack_from(record.key)
            transactional_id = record.key[_KEY.size : _KEY.size + length].decode()
            *_, state = _VALUE.unpack_from(record.value)
            if state == _COMPLETE_COMMIT and transactional_id.startswith(f"{app_id}-"):
                found["small rounds" if transactional_id.endswith(_SMALL) else "large batches"] += 1
    return dict(found)


def behind_an_open_transaction(
    config: Mapping[str, str | int], topic: str, partition: int, key: bytes, value: bytes, *, limit_s: float
) -> Producer:
    """Write a committed record after a record of an open transaction, so that no reader gets it yet.

    Args:
        config: for librdkafka.
        topic: the topic.
        partition: the partition.
        key: the record's key.
        value: the record's value.
        limit_s: how long each step may take.

    Returns:
        The producer whose transaction is open.
    """
    still_open, committed = (Producer({**config, "transactional.id": uuid4().hex}) for _ in range(2))
    for producer in (still_open, committed):
        producer.init_transactions(limit_s)
        producer.begin_transaction()
    still_open.produce(topic, b"", b"never committed", partition)
    assert not still_open.flush(limit_s)
    committed.produce(topic, value, key, partition)
    committed.commit_transaction(limit_s)
    return still_open


_Answer = TypeVar("_Answer")

_NOT_FOUND: Final = 105
"""Kafka's TRANSACTIONAL_ID_NOT_FOUND."""


def remembered_ids(servers: str, transactional_ids: Iterable[str]) -> set[str]:
    """Those of the ids that their coordinators know; they forget ids that were unused for too long.

    Args:
        servers: the brokers.
        transactional_ids: the ids.
    """

    async def ask(client: AIOKafkaClient) -> set[str]:
        found = set()
        for each in transactional_ids:
            node = await client.coordinator_lookup(CoordinationType.TRANSACTION, each)
            answer: Any = await client.send(node, DescribeTransactions([each]))
            [(code, *_)] = answer.transactions
            assert code in {0, _NOT_FOUND}, f"{each}: error {code}"
            if code == 0:
                found.add(each)
        return found

    return asyncio.run(_with_client(servers, ask))


def active_producers(servers: str, topic: str, *, partition: int) -> set[int]:
    """The ids of the producers whose last record in a partition its leader remembers.

    Args:
        servers: the brokers.
        topic: the topic.
        partition: the partition.
    """

    async def ask(client: AIOKafkaClient) -> set[int]:
        await client.add_topic(topic)
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        answer: Any = await client.send(leader, DescribeProducers({topic: [partition]}))
        [(_, [(_, code, _, producers, _)], _)] = answer.topics
        assert code == 0, f"{topic} {partition}: error {code}"
        return {producer_id for producer_id, *_ in producers}

    return asyncio.run(_with_client(servers, ask))


async def _with_client(servers: str, ask: Callable[[AIOKafkaClient], Awaitable[_Answer]]) -> _Answer:
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        return await ask(client)
    finally:
        await client.close()
