"""An installation whose events are waited for."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.integration.waiting.publisher import Publisher, waiter_of
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed


@pytest.fixture(scope="module")
def worked(kafka, tmp_path_factory):
    """An installation with a worker, which the module's tests share: each has applications of its own."""
    with installed(kafka, tmp_path_factory.mktemp("waiting")) as found:
        found.start().wait_ready(found.partitions)
        yield found


@pytest.fixture
def publisher(worked):
    return Publisher(worked)


@pytest.fixture
def waiter(worked):
    with waiter_of(worked) as found:
        yield found


class Stage:
    """An installation without a worker: the test plays its part, step by step.

    Args:
        installation: where.
    """

    def __init__(self, installation):
        self.installation = installation
        self.publisher = Publisher(installation)

    def transaction(self):
        """A producer in a transaction."""
        producer = Producer(self.installation.config | {"transactional.id": f"{self.installation.name}-played"})
        producer.init_transactions(LIMIT_S)
        producer.begin_transaction()
        return producer

    def commit_group(self, offset, partition=0):
        """Commit the worker's offset."""
        consumer = Consumer(self.installation.config | {"group.id": self.installation.name})
        place = TopicPartition(self.installation.topics.executions.name, partition, offset)
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()


@pytest.fixture
def stage(installation):
    return Stage(installation)


@pytest.fixture
def staged_waiter(installation):
    with waiter_of(installation) as found:
        yield found
