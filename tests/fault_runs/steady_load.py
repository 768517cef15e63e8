"""The design's workload, or another one, published at a steady rate while brokers come and go."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consolidator.keys import partition_of
from tests.inputs.design_workload import DESIGN_EVENTS, design_workload
from tests.real_kafka.installation import Installation, Raw
from tests.real_kafka.worker_process import WorkerProcess

APPLICATIONS = 2_000
TICK_S = 0.05
DELIVERY_LIMIT_S = 240.0

_UNANSWERED = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT})
"""No broker answers a question: nothing is known of the group then."""


def designed(partitions: int, seed: int) -> Iterator[Raw]:
    """The design's workload as records."""
    for message in design_workload(DESIGN_EVENTS, APPLICATIONS, seed):
        yield message.key, message.value, partition_of(message.application_id, partitions)


class SteadyLoad:
    """Publishes from a thread of its own for the time of a ``with`` block; at its end everything is acknowledged.

    Args:
        installation: whose source topic.
        rate: events a second.
        seed: of the workload.
        records: other records than the design's, in their order.
    """

    def __init__(
        self, installation: Installation, rate: float, seed: int, *, records: Iterator[Raw] | None = None
    ) -> None:
        self._installation = installation
        self._records = designed(installation.partitions, seed) if records is None else records
        self._per_tick = max(1, round(rate * TICK_S))
        self._producer = Producer(
            installation.config
            | {
                "enable.idempotence": True,
                "compression.type": "lz4",
                "delivery.timeout.ms": int(DELIVERY_LIMIT_S * 1000),
            }
        )
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="load")
        self._refused: list[KafkaError] = []
        # By partition, in order: when it was produced, and the offset that it got.
        self._acknowledged: dict[int, list[tuple[float, int]]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(DELIVERY_LIMIT_S) == 0, "the load was not acknowledged"
        assert not self._refused, self._refused[0]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context without publishing; everything that was published before is acknowledged."""
        self._paused.set()
        try:
            assert self._producer.flush(DELIVERY_LIMIT_S) == 0, "the load was not acknowledged"
            yield
        finally:
            self._paused.clear()

    @property
    def acknowledged(self) -> int:
        """How many events Kafka has taken so far."""
        return sum(map(len, self._acknowledged.values()))

    def published(self, partition: int) -> list[tuple[float, int]]:
        """When each of a partition's events was produced, in monotonic seconds, and the offset that it got."""
        return list(self._acknowledged[partition])

    def first_after(self, moment: float) -> dict[int, int]:
        """By partition, the offset of the first acknowledged event that was produced after a moment."""
        found = {}
        for number, acknowledged in list(self._acknowledged.items()):
            offset = next((offset for produced, offset in list(acknowledged) if produced > moment), None)
            if offset is not None:
                found[number] = offset
        return found

    def wait_folded(self, moment: float, worker: WorkerProcess, *, limit_s: float) -> float:
        """Wait until every partition has committed an event that was produced after a moment.

        Returns:
            The seconds since that moment; if it was the moment of a fault, this is the pause.
        """

        def folded() -> bool:
            offsets = self.first_after(moment)
            try:
                committed = self._installation.committed()
            except KafkaException as error:
                if error.args[0].code() in _UNANSWERED:
                    return False
                raise
            return len(offsets) == self._installation.partitions and all(
                committed[number] > offset for number, offset in offsets.items()
            )

        worker.wait(folded, "every partition to commit new work", limit_s=limit_s)
        return time.monotonic() - moment

    def _publish(self) -> None:
        topic = self._installation.topics.executions.name
        # This sleep keeps the rate; it does not wait for a condition.
        while not self._stop.wait(TICK_S):
            if self._paused.is_set():
                continue
            for _, (key, value, partition) in zip(range(self._per_tick), self._records, strict=False):
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=partial(self._delivered, time.monotonic()),
                )
            self._producer.poll(0)

    def _delivered(self, produced: float, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._refused.append(error)
        else:
            self._acknowledged[message.partition() or 0].append((produced, message.offset() or 0))
