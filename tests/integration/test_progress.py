"""When a worker's group counts as finished: told by positions and stable ends, never by subtracting offsets."""

import json
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from consolidator.keys import partition_of
from models.errors import InfrastructureError
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import wait_until
from topics.reading.positions import Beginning
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader

pytestmark = pytest.mark.kafka


@pytest.fixture
def progress(installation):
    with GroupProgress(installation.config, installation.name, installation.topics) as found:
        yield found


@pytest.fixture
def transactions(installation):
    producer = Producer(installation.config | {"transactional.id": uuid4().hex})
    producer.init_transactions(LIMIT_S)
    return producer


def commit(installation, offset, partition=0):
    """Commit an offset for the group, as its only member's transaction would."""
    consumer = Consumer(installation.config | {"group.id": installation.name})
    try:
        place = TopicPartition(installation.topics.executions.name, partition, offset)
        consumer.commit(offsets=[place], asynchronous=False)
    finally:
        consumer.close()


def test_an_empty_source_is_finished(progress):
    """Nothing published, nothing committed: nothing is missing."""
    assert progress.is_finished()
    assert progress.offsets() == (0, 0)


def test_unread_records_are_not(installation, progress):
    """A group without offsets begins at the beginning; it is finished when its offset is the end."""
    installation.publish_raw([(b"a/1", b"{}", 0), (b"a/2", b"{}", 0)])
    assert not progress.is_finished()
    commit(installation, 1)
    assert not progress.is_finished()
    assert progress.offsets() == (1, 2)
    commit(installation, 2)
    assert progress.is_finished()


def test_markers_and_aborted_records_are_no_lag(installation, progress, transactions):
    """Behind the committed offset there are offsets, but no record that anybody will ever see."""
    installation.publish_raw([(b"a/1", b"{}", 0)])
    commit(installation, 1)
    transactions.begin_transaction()
    transactions.produce(installation.topics.executions.name, b"{}", b"a/2", 0)
    assert transactions.flush(LIMIT_S) == 0
    transactions.abort_transaction(LIMIT_S)
    # The marker reaches the partition a moment after the coordinator has answered.
    wait_until(progress.is_finished, "the marker", limit_s=LIMIT_S)
    assert progress.offsets() == (1, 3)


@pytest.mark.parametrize("kind", ["executions", "factor_changes", "factors", "dlq"])
def test_an_open_transaction_is_unfinished_business(installation, progress, transactions, kind):
    """What is written but not committed yet may be a record to come, or a result that nobody could read yet."""
    transactions.begin_transaction()
    transactions.produce(getattr(installation.topics, kind).name, b"{}", b"a/1", 0)
    assert transactions.flush(LIMIT_S) == 0
    assert not progress.is_finished()
    transactions.abort_transaction(LIMIT_S)
    wait_until(progress.is_finished, "the marker", limit_s=LIMIT_S)


def test_all_partitions_are_one_question(installation):
    """However many a topic has; the questions are counted by the client itself."""
    asked = {}

    def count(text):
        statistics = json.loads(text)
        asked[statistics["name"]] = sum(each["req"].get("ListOffsets", 0) for each in statistics["brokers"].values())

    counting = installation.config | {"statistics.interval.ms": 20, "stats_cb": count}
    with GroupProgress(counting, installation.name, installation.topics) as progress:
        for _ in range(3):
            assert progress.offsets() == (0, 0)
        assert progress.is_finished()
        # One of each topic for both ends, one of the source for what lies behind the group's offsets.
        expected = 3 + 2 * 4 + 1

        def counted():
            progress._admin.poll(0.05)
            return sum(asked.values()) >= expected

        wait_until(counted, "the client's own count", limit_s=LIMIT_S)
        # Just after a topic was made, a leader may have to be asked again; four partitions one by one would be 48.
        assert sum(asked.values()) < 2 * expected


def test_an_unreachable_broker_is_an_error(installation):
    """Nobody listening ends in an error of ours, within the limit."""
    with (
        GroupProgress({"bootstrap.servers": "127.0.0.1:1"}, "g", installation.topics) as progress,
        pytest.raises(InfrastructureError, match="the group's offsets cannot be read"),
    ):
        progress.offsets()


def test_only_the_partition_of_an_application_is_read(installation):
    """A reader that is told an application leaves the other partitions alone."""
    installation.publish_raw([(b"x/1", b"{}", partition) for partition in range(installation.partitions)])
    name = installation.topics.executions.name
    with TopicReader(installation.config, name, Beginning(), application_id="app-1") as reader:
        assert {record.partition for record in reader.until_end()} == {partition_of("app-1", installation.partitions)}
