"""How long ``wait_for`` takes beyond the worker's commit: ``python -m benchmarks.waiting``.

One event after the other is published and waited for, over one waiter. Beside it a thread asks for the group's
committed offset once a millisecond: the time between the first answer that is past the event and the result is what the
wait adds. Another producer may publish a load at the same time.
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.load.session import open_session, say
from benchmarks.report.percentiles import percentiles
from consolidator import SourcePlace, Waiter, partition_of
from consolidator.keys import event_key
from tests.real_kafka.installation import Installation

LIMIT_S = 60.0
LOOK_S = 0.001
WARM_UP = 50


class Publisher:
    """Publishes events of some applications, and has their places.

    Args:
        installation: where.
        name: begins the applications' ids.
    """

    def __init__(self, installation: Installation, name: str) -> None:
        self._installation = installation
        self._name = name
        self._producer = Producer(installation.config | {"linger.ms": 0})

    def publish(self, number: int) -> SourcePlace:
        """Publish one event, and wait until it is delivered."""
        delivered: list[SourcePlace] = []
        self.produce(number, delivered)
        assert self._producer.flush(LIMIT_S) == 0
        return delivered[0]

    def produce(self, number: int, delivered: list[SourcePlace] | None = None) -> None:
        """Publish one event; its place is appended when it is delivered."""
        # Few executions each: what one of thousands costs the worker is another question.
        application = f"{self._name}-{number // 10}"
        event = {
            "application_id": application,
            "execution_id": f"e-{number}",
            "processor": "bank_statement",
            "status": "completed",
            "occurred_at": "2025-03-03T09:00:00Z",
            "output": {"factors": {"f_revenue_monthly": 10_000 + number}},
            "event_id": f"ev-{number}",
        }

        def done(error: Any, message: Any) -> None:
            assert error is None, error
            if delivered is not None:
                delivered.append(SourcePlace(message.partition(), message.offset()))

        partition = partition_of(application, self._installation.partitions)
        key = event_key(application, f"ev-{number}")
        value = json.dumps(event).encode()
        self._producer.produce(self._installation.topics.executions.name, value, key, partition, on_delivery=done)
        self._producer.poll(0)


class Watch:
    """Sees when the group's committed offset is past a place.

    Args:
        installation: the group's.
    """

    def __init__(self, installation: Installation) -> None:
        self._topic = installation.topics.executions.name
        group = {"group.id": installation.name, "isolation.level": "read_uncommitted", "enable.auto.commit": False}
        self._consumer = Consumer(installation.config | group)

    def committed_at(self, place: SourcePlace) -> float:
        """The time of the first answer that is past the place, as ``time.perf_counter`` has it."""
        while True:
            [found] = self._consumer.committed([TopicPartition(self._topic, place.partition)], timeout=LIMIT_S)
            if found.offset > place.offset:
                return time.perf_counter()
            time.sleep(LOOK_S)


@contextmanager
def load(installation: Installation, rate: int) -> Iterator[None]:
    """Publish so many events a second beside."""
    over = threading.Event()

    def publish() -> None:
        publisher, began, count = Publisher(installation, "load"), time.perf_counter(), 0
        while not over.wait(0.01):
            due = int((time.perf_counter() - began) * rate)
            for number in range(count, due):
                publisher.produce(number)
            count = due

    thread = threading.Thread(target=publish)
    if rate:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if rate:
            thread.join()


def measured(installation: Installation, events: int, name: str) -> dict[str, Any]:
    """Publish events of applications whose ids begin with a name, and wait for them one by one."""
    publisher, watch, beyond, whole = Publisher(installation, name), Watch(installation), [], []
    prefix = f"{installation.name}."
    with Waiter(str(installation.config["bootstrap.servers"]), app_id=installation.name, topic_prefix=prefix) as waiter:
        for number in range(events + WARM_UP):
            began = time.perf_counter()
            place = publisher.publish(number)
            committed: list[float] = []
            looking = threading.Thread(target=lambda at=place, into=committed: into.append(watch.committed_at(at)))
            looking.start()
            result = waiter.wait_for(place, timeout_s=LIMIT_S)
            ended = time.perf_counter()
            looking.join()
            assert result.kind == "applied", result.kind
            if number >= WARM_UP:
                beyond.append(1_000 * max(0.0, ended - committed[0]))
                whole.append(1_000 * (ended - began))
    return {
        "events": events,
        "beyond_the_commit_ms": {name: round(value, 1) for name, value in percentiles(beyond).items()},
        "from_publishing_ms": {name: round(value, 1) for name, value in percentiles(whole).items()},
    }


def main() -> None:
    """Measure; one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--rates", default="0,1000", help="events a second published beside, comma-separated")
    arguments = parser.parse_args()
    with open_session() as session:
        installation = Installation(session.servers, session.directory / "waiting")
        installation.create_topics()
        installation.start().wait_ready(installation.partitions)
        for rate in map(int, arguments.rates.split(",")):
            busy = os.getloadavg()[0]
            with load(installation, rate):
                found = measured(installation, arguments.events, f"waited-{rate}")
            say(json.dumps({"load_average_before": round(busy, 1), "events_a_second_beside": rate, **found}))
        installation.close()


if __name__ == "__main__":
    main()
