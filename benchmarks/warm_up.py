"""Works a new broker in before latencies are measured: for minutes it compiles itself, on a core that the sides need.

What it does is what every side will have it do, as fast as it can: small transactions with offsets, and a reader of
what is committed. A broker in service has long been compiled, and whichever side came first would pay for it.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.session import Session, say
from benchmarks.source import create_topic

__all__ = ["warm_up"]

_PARTITIONS = 4
_RECORDS = 5
_RECORD = b"." * 500
_ANSWER_LIMIT_S = 30
_POLL_S = 0.1


def warm_up(session: Session, seconds: float) -> None:
    """Keep the broker busy for a while; an embedded one only, as others are not ours to burden.

    Args:
        session: with the broker.
        seconds: for how long.

    Raises:
        KafkaException: a transaction failed.
    """
    if session.broker_pid is None or not seconds:
        return
    say(f"the broker is new: {seconds:.0f} s of transactions for it to compile itself")
    topic = f"{session.name}-warm-up"
    create_topic(session, topic, _PARTITIONS)
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(_PARTITIONS) as executor:
        producers = [
            executor.submit(_transact, session, topic, partition, deadline) for partition in range(_PARTITIONS)
        ]
        _read(session, topic, deadline)
        say(f"{sum(producer.result() for producer in producers):,} transactions")


def _transact(session: Session, topic: str, partition: int, deadline: float) -> int:
    """Transactions in one partition until the deadline; how many."""
    done = 0
    group = Consumer({**session.config, "group.id": f"{topic}-{partition}"})
    producer = Producer(
        {**session.config, "transactional.id": f"{topic}-{partition}", "linger.ms": 0, "retry.backoff.ms": 5}
    )
    try:
        producer.init_transactions(_ANSWER_LIMIT_S)
        while time.monotonic() < deadline:
            producer.begin_transaction()
            for _ in range(_RECORDS):
                producer.produce(topic, _RECORD, partition=partition)
            offsets = [TopicPartition(topic, partition, done)]
            producer.send_offsets_to_transaction(offsets, group.consumer_group_metadata(), _ANSWER_LIMIT_S)
            producer.commit_transaction(_ANSWER_LIMIT_S)
            done += 1
    finally:
        group.close()
    return done


def _read(session: Session, topic: str, deadline: float) -> None:
    consumer = Consumer({**session.config, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(_PARTITIONS)])
    while time.monotonic() < deadline:
        consumer.consume(1_000, timeout=_POLL_S)
    consumer.close()
