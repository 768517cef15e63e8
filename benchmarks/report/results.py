"""What a side has come to: its last factors of each pair, compared with the reference before its speed counts."""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from consolidator.connecting.patience import ask_patiently
from topics.cluster.open_transactions import wait_until_settled

__all__ = ["Factors", "canonical", "differences", "end_offsets", "final_factors"]

Factors = dict[tuple[str, str], dict[str, Any]]
"""Factors by application and processor."""

_LIMIT_S = 120
_POLL_S = 1.0
_BATCH = 5_000
_ASK_LIMIT_S = 10
_SHOWN = 3


class _Final(msgspec.Struct, gc=False):
    """What every side's record has in common."""

    application_id: str
    processor: str
    factors: dict[str, Any]


_decode = msgspec.json.Decoder(_Final, float_hook=Decimal).decode


def canonical(value: Any) -> tuple[str, Any]:
    """A factor with its type, so that 11000, 11000.00 and 1.1E4 are equal, and 1 and true are not."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float | Decimal):
        return "number", Decimal(str(value)).normalize()
    return type(value).__name__, value


def differences(expected: Mapping[tuple[str, str], Mapping[str, Any]], found: Factors) -> list[str]:
    """What is not as expected, in words, the first few of it; empty: all is equal.

    A pair without factors and a pair that was never told of are the same: not every side says that there are none.
    """
    wanted = {pair: _typed(factors) for pair, factors in expected.items() if factors}
    told = {pair: _typed(factors) for pair, factors in found.items() if factors}
    if wanted == told:
        return []
    wrong = sorted(pair for pair in wanted.keys() | told.keys() if wanted.get(pair) != told.get(pair))
    lines = [f"{pair[0]} {pair[1]}: expected {expected.get(pair)}, found {found.get(pair)}" for pair in wrong[:_SHOWN]]
    return [f"{len(wrong):,} of {len(wanted):,} pairs differ", *lines]


def end_offsets(servers: str, topic: str, partitions: int) -> dict[int, int]:
    """Where a topic ends now, by partition."""
    consumer = _reader(servers)
    try:
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        # A new topic's leader takes a moment before it answers.
        return ask_patiently(
            lambda: {
                place.partition: consumer.get_watermark_offsets(place, timeout=_ASK_LIMIT_S)[1] for place in places
            },
            limit_s=_ASK_LIMIT_S,
        )
    finally:
        consumer.close()


def final_factors(servers: str, topic: str, starts: Mapping[int, int]) -> Factors:
    """The last factors of every pair in a topic, from these offsets to the ends, as a read_committed reader sees them.

    Raises:
        TimeoutError: the ends were not reached in time.
    """
    # The last transaction's records may be readable a moment after its offsets.
    if wait_until_settled(AdminClient({"bootstrap.servers": servers}), topic, starts, limit_s=_LIMIT_S):
        raise TimeoutError(f"a transaction in {topic} was not over within {_LIMIT_S} s")
    consumer = _reader(servers)
    consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
    factors: Factors = {}
    open_partitions = set(starts)
    deadline = time.monotonic() + _LIMIT_S
    try:
        while open_partitions:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the ends of {topic} were not reached within {_LIMIT_S} s")
            for message in consumer.consume(_BATCH, timeout=_POLL_S):
                error = message.error()
                if error is None:
                    final = _decode(message.value() or b"{}")
                    factors[final.application_id, final.processor] = final.factors
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                    open_partitions.discard(message.partition())
    finally:
        consumer.close()
    return factors


def _typed(factors: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    return {name: canonical(value) for name, value in factors.items()}


def _reader(servers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 2,
        }
    )
