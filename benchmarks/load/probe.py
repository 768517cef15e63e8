"""One event's way, timed: a thread that publishes at a rate, and one that waits for the changes.

Both are in one process and read one monotonic clock. An event's time begins when it is handed to the producer, and ends
when a read_committed reader has the change that names it as its cause. Changes caused by completed executions are
counted, as every side publishes these.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from consolidator.keys import partition_of
from tests.inputs.design_workload import Message

__all__ = ["ChangeReader", "Pace", "publish_at"]

_TICK_S = 0.001
_POLL_S = 0.05
_POLL_RECORDS = 1_000
_JOIN_LIMIT_S = 30
_DELIVERY_LIMIT_S = 60


class _Cause(msgspec.Struct, gc=False):
    event_id: str
    status: str


class _Change(msgspec.Struct, gc=False):
    cause: _Cause


_decode = msgspec.json.Decoder(_Change).decode


@dataclass(slots=True)
class Pace:
    """What was published: from which moment on, by event id the moment in ns, and the rate that came of it."""

    began_ns: int
    sent: dict[str, int] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0


class ChangeReader:
    """Notes in a thread of its own when which event's change could be read; as a context it ends with the block.

    Args:
        config: for librdkafka.
        topic: the changes.
        starts: where to begin in each partition.
    """

    def __init__(self, config: Mapping[str, str | int], topic: str, starts: Mapping[int, int]) -> None:
        self._consumer = Consumer(
            {
                **config,
                "group.id": "unused",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # Ask for what is there, as often as there is something.
                "fetch.min.bytes": 1,
                "fetch.queue.backoff.ms": 1,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="changes")
        self.arrived: dict[str, int] = {}
        self.last_arrival_s = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_LIMIT_S)
        self._consumer.close()

    def wait_quiet(self, quiet_s: float, *, limit_s: float) -> bool:
        """Wait until nothing has arrived for a while; False if that did not come about in time."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() - self.last_arrival_s < quiet_s:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _read(self) -> None:
        while not self._stop.is_set():
            # A single one first: a number would be waited for.
            messages = self._consumer.consume(1, timeout=_POLL_S)
            if not messages:
                continue
            messages += self._consumer.consume(_POLL_RECORDS, timeout=0)
            now = time.monotonic_ns()
            for message in messages:
                if message.error() is None:
                    cause = _decode(message.value() or b"{}").cause
                    if cause.status == "completed":
                        self.arrived.setdefault(cause.event_id, now)
            self.last_arrival_s = time.monotonic()


def publish_at(
    producer: Producer,
    topic: str,
    partitions: int,
    messages: Iterator[Message],
    *,
    rate: float,
    seconds: float,
    by_application: bool,
) -> Pace:
    """Publish at a rate, whatever the reader does: a side that stalls finds its events waiting.

    Args:
        producer: to publish with.
        topic: where.
        partitions: of the topic.
        messages: what; enough of it.
        rate: events a second.
        seconds: for how long.
        by_application: key by application instead of by event.
    """
    events = round(rate * seconds)
    batch: Sequence[Message] = [message for _, message in zip(range(events), messages, strict=False)]
    began = time.monotonic()
    pace = Pace(time.monotonic_ns())
    for number, message in enumerate(batch):
        due = began + number / rate
        while (left := due - time.monotonic()) > 0:
            producer.poll(0)
            time.sleep(min(left, _TICK_S))
        key = message.application_id.encode() if by_application else message.key
        # The canonical key of an event ends with its id.
        pace.sent[message.key.rpartition(b"/")[2].decode()] = time.monotonic_ns()
        producer.produce(topic, message.value, key, partition_of(message.application_id, partitions))
    pace.events, pace.seconds = len(batch), time.monotonic() - began
    if producer.flush(_DELIVERY_LIMIT_S):
        raise TimeoutError(f"the broker did not acknowledge the events within {_DELIVERY_LIMIT_S} s")
    return pace
