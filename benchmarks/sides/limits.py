"""The wire's limit: what librdkafka delivers when nothing is done with it, or when each event is only decoded.

It hands over whole lists of messages, or one message a call, as most consumers in Python ask for them.

Started by the benchmarks in a process of its own, as every side; prints events a second and the CPU seconds.
"""

import argparse
import json
import time

from confluent_kafka import Consumer, Message, TopicPartition

from topics.records.decoding import decode_event

_BATCH = 5_000
_STALL_S = 30
_MAX_EVENT_BYTES = 1024 * 1024


def measure(servers: str, topic: str, partitions: int, events: int, *, batch: int, decode: bool) -> dict[str, float]:
    """Read everything once, from the first record's arrival on, so many messages a call."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "unused", "enable.auto.commit": False, "log_level": 2}
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    seen = len(_take(consumer, 1))
    since, cpu = time.monotonic(), time.process_time()
    while seen < events:
        # No more than there are: it waits until it has so many.
        messages = _take(consumer, min(batch, events - seen))
        seen += len(messages)
        if decode:
            for message in messages:
                decode_event(message.value() or b"", max_bytes=_MAX_EVENT_BYTES, recorded_at=None)
    seconds = time.monotonic() - since
    cpu = time.process_time() - cpu
    consumer.close()
    return {"events_per_s": events / seconds, "cpu_s": cpu}


def _take(consumer: Consumer, count: int) -> list[Message]:
    if count == 1:
        message = consumer.poll(_STALL_S)
        messages = [] if message is None else [message]
    else:
        messages = consumer.consume(count, timeout=_STALL_S)
    if not messages:
        raise SystemExit(f"nothing arrived for {_STALL_S} s, before the last event")
    return messages


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers")
    parser.add_argument("topic")
    parser.add_argument("partitions", type=int)
    parser.add_argument("events", type=int)
    parser.add_argument("--decode", action="store_true")
    parser.add_argument("--one-by-one", action="store_true")
    given = parser.parse_args()
    batch = 1 if given.one_by_one else _BATCH
    figures = measure(given.servers, given.topic, given.partitions, given.events, batch=batch, decode=given.decode)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
