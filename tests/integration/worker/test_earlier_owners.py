"""What a new owner waits for, on a real broker."""

import threading

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from consolidator.connecting.connection import Connection
from streams.worker.transactions.earlier_owners import outwait
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

LIMIT_S = 30.0
PATIENCE_S = 15.0
STILL_S = 0.5
"""Long enough for a new owner that does not wait to be through."""


@pytest.fixture
def earlier(installation):
    """The producer of an earlier owner, with a partition that the new owner does not have."""
    producer = Producer({**installation.config, "transactional.id": f"{installation.name}-3", "linger.ms": 20_000})
    producer.init_transactions(LIMIT_S)
    return producer


@pytest.fixture
def member(installation):
    """Gives the metadata of the group, in which nobody is: the coordinator takes anybody's offsets then."""
    with Consumer({**installation.config, "group.id": installation.name}) as consumer:
        yield consumer


def offer(installation, earlier, member, *partitions):
    """Have the offsets of partitions accepted."""
    places = [TopicPartition(installation.topics.executions.name, partition, 7) for partition in partitions]
    earlier.send_offsets_to_transaction(places, member.consumer_group_metadata(), LIMIT_S)


def take_over(installation, *partitions):
    """A new owner that waits for earlier ones of partitions, in a thread."""
    topics = installation.topics
    connection = Connection(installation.variables["KAFKA_BOOTSTRAP_SERVERS"])

    def wait():
        outwait(
            connection,
            installation.name,
            topics.executions.name,
            topics.changelog.name,
            set(partitions),
            patience_s=PATIENCE_S,
        )

    owner = threading.Thread(target=wait, name="new owner")
    owner.start()
    return owner


def test_accepted_offsets_are_waited_for_before_there_is_a_record(installation, earlier, member):
    """The records come later, and are all there and readable when the new owner goes on."""
    changelog = installation.topics.changelog.name
    earlier.begin_transaction()
    earlier.produce(changelog, b"row", b"key", 1)
    offer(installation, earlier, member, 1)
    assert installation.unstable_offsets() == [1]
    assert installation.ends(changelog)[1] == 0
    owner = take_over(installation, 0, 1)
    owner.join(STILL_S)
    assert owner.is_alive()
    earlier.commit_transaction(LIMIT_S)
    owner.join(LIMIT_S)
    assert not owner.is_alive()
    assert installation.unstable_offsets() == []
    assert installation.stable_ends(changelog)[1] == installation.ends(changelog)[1] == 2


def test_records_without_offsets_are_waited_for(installation, earlier):
    """Their offsets will be refused; until they are aborted they hide what is committed after them."""
    changelog = installation.topics.changelog.name
    earlier.begin_transaction()
    earlier.produce(changelog, b"row", b"key", 1)
    assert earlier.flush(LIMIT_S) == 0
    owner = take_over(installation, 1)
    owner.join(STILL_S)
    assert owner.is_alive()
    earlier.abort_transaction(LIMIT_S)
    owner.join(LIMIT_S)
    assert not owner.is_alive()


def test_what_is_open_elsewhere_is_not_waited_for(installation, earlier, member):
    """Another worker's partitions are its own business."""
    earlier.begin_transaction()
    earlier.produce(installation.topics.changelog.name, b"row", b"key", 3)
    offer(installation, earlier, member, 3)
    owner = take_over(installation, 0, 1, 2)
    wait_until(lambda: not owner.is_alive(), "the new owner to go on", limit_s=PATIENCE_S)
    assert installation.unstable_offsets() == [3]
    earlier.abort_transaction(LIMIT_S)
