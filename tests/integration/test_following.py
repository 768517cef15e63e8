"""A consumer of which a partition stands still, although Kafka has more of it."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition
from structlog.testing import capture_logs

from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.worker_process import wait_until
from topics.reading.following import Follower

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LOOK_S = 0.3
OPENED = "a consumer does not fetch what there is: it is opened anew"


@pytest.fixture
def followed(installation: Installation) -> Iterator[tuple[Follower, str]]:
    """A follower of two partitions."""
    installation.create_topics()
    topic = installation.topics.factor_changes.name
    with Follower(installation.config, look_s=LOOK_S) as follower:
        follower.follow({(topic, 0): 0, (topic, 1): 0})
        yield follower, topic


def publish(installation: Installation, partition: int, *values: bytes) -> None:
    producer = Producer(installation.config)
    for value in values:
        producer.produce(installation.topics.factor_changes.name, value, b"key", partition)
    assert producer.flush(LIMIT_S) == 0


def stop_fetching(follower: Follower, topic: str, partition: int) -> None:
    """As librdkafka did in the middle of a broker's restart: the follower does not learn of it."""
    follower._consumer.pause([TopicPartition(topic, partition)])


def read(follower: Follower, count: int) -> list[tuple[int, bytes | None]]:
    found: list[tuple[int, bytes | None]] = []

    def all_read() -> bool:
        found.extend((record.partition, record.value) for record in follower.poll(0.05))
        return len(found) >= count

    wait_until(all_read, f"{count} records", limit_s=LIMIT_S, details=lambda: f"{found}, {follower.positions}")
    return found


def poll_for(follower: Follower, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert follower.poll(0.05) == []


def test_it_is_opened_anew_and_reads_on(installation, followed):
    """Nothing is lost and nothing comes twice, in the partition that stood still and beside it."""
    follower, topic = followed
    publish(installation, 0, b"1")
    publish(installation, 1, b"2")
    assert sorted(read(follower, 2)) == [(0, b"1"), (1, b"2")]
    stop_fetching(follower, topic, 0)
    publish(installation, 0, b"3", b"4")
    publish(installation, 1, b"5")
    with capture_logs() as logs:
        found = read(follower, 3)
    assert [value for partition, value in found if partition == 0] == [b"3", b"4"]
    assert [value for partition, value in found if partition == 1] == [b"5"]
    opened = [entry for entry in logs if entry["event"] == OPENED]
    assert [(entry["topic"], entry["partition"], entry["offset"]) for entry in opened] == [(topic, 0, 1)]
    with capture_logs() as logs:
        poll_for(follower, 5 * LOOK_S)
    assert logs == []


def test_a_partition_that_is_held_stays_held(installation, followed):
    """It stands still by the caller's wish, and after the consumer was opened anew for another one, too."""
    follower, topic = followed
    follower.hold((topic, 1), held=True)
    publish(installation, 1, b"1")
    with capture_logs() as logs:
        poll_for(follower, 5 * LOOK_S)
    assert logs == []
    stop_fetching(follower, topic, 0)
    publish(installation, 0, b"2")
    assert read(follower, 1) == [(0, b"2")]
    poll_for(follower, 2 * LOOK_S)
    follower.hold((topic, 1), held=False)
    assert read(follower, 1) == [(1, b"1")]


def test_what_an_open_transaction_hides_is_waited_for(installation, followed):
    """Nothing can be fetched of it, so that no new consumer would help."""
    follower, topic = followed
    producer = Producer(installation.config | {"transactional.id": f"{installation.name}-other"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    producer.produce(topic, b"1", b"key", 0)
    assert producer.flush(LIMIT_S) == 0
    publish(installation, 0, b"2")
    with capture_logs() as logs:
        poll_for(follower, 5 * LOOK_S)
        producer.abort_transaction(LIMIT_S)
        assert read(follower, 1) == [(0, b"2")]
    assert logs == []
