"""Works a new broker in before latencies are measured: for minutes it compiles itself, on a core that the sides need.

What it does is what every side will have it do, as fast as it can: small transactions with offsets, and a reader of
what is committed. A broker in service has long been compiled, and whichever side came first would pay for it.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.load.jit import CompilerWatch
from benchmarks.load.session import Session, say
from benchmarks.load.source import create_topic

__all__ = ["COMPILED", "warm_up"]

COMPILED = 0.1
"""Cores that the compilers of a broker may take that counts as compiled: they never rest for good."""
_WINDOW_S = 10.0

_PARTITIONS = 4
_RECORDS = 5
_RECORD = b"." * 500
_ANSWER_LIMIT_S = 30
_POLL_S = 0.1


def warm_up(session: Session, limit_s: float) -> None:
    """Keep the broker busy until it has compiled itself; an embedded one only, as others are not ours to burden.

    Args:
        session: with the broker.
        limit_s: for at most so long, in seconds; 0: not at all.

    Raises:
        KafkaException: a transaction failed.
    """
    if session.broker_pid is None or not limit_s:
        return
    say(f"the broker is new: transactions until it has compiled itself, for at most {limit_s:.0f} s")
    topic = f"{session.name}-warm-up"
    create_topic(session, topic, _PARTITIONS)
    ended = Event()
    with ThreadPoolExecutor(_PARTITIONS) as executor:
        producers = [executor.submit(_transact, session, topic, partition, ended) for partition in range(_PARTITIONS)]
        try:
            share = _read_until_compiled(session, topic, limit_s)
        finally:
            ended.set()
        transactions = sum(producer.result() for producer in producers)
    compiling = "what its compilers took is not known" if share is None else f"its compilers took {share:.2f} of a core"
    say(f"{transactions:,} transactions; {compiling} in the end")


def _transact(session: Session, topic: str, partition: int, ended: Event) -> int:
    """Transactions in one partition until the end; how many."""
    done = 0
    group = Consumer({**session.config, "group.id": f"{topic}-{partition}"})
    producer = Producer(
        {**session.config, "transactional.id": f"{topic}-{partition}", "linger.ms": 0, "retry.backoff.ms": 5}
    )
    try:
        producer.init_transactions(_ANSWER_LIMIT_S)
        while not ended.is_set():
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


def _read_until_compiled(session: Session, topic: str, limit_s: float) -> float | None:
    """Read what is committed until the broker compiles hardly any more; how many cores that took last, if known."""
    deadline = time.monotonic() + limit_s
    compilers = CompilerWatch(session.broker_pid)
    consumer = Consumer({**session.config, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(_PARTITIONS)])
    try:
        while True:
            compilers.start()
            window_ends = min(time.monotonic() + _WINDOW_S, deadline)
            while time.monotonic() < window_ends:
                consumer.consume(1_000, timeout=_POLL_S)
            share = compilers.share()
            # Where it is not known, for as long as there is time.
            if (share is not None and share < COMPILED) or time.monotonic() >= deadline:
                return share
    finally:
        consumer.close()
