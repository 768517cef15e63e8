"""Fixtures of the fault scenarios: a broker whose cleaner looks several times a second."""

from collections.abc import Iterator

import pytest

from streams.broker.embedded import start_broker, stop_broker
from tests.installation import Installation


@pytest.fixture(scope="session")
def eager_kafka(tmp_path_factory, kafka_cache_dir) -> Iterator[str]:
    """A broker whose cleaner does not rest."""
    data_dir = tmp_path_factory.mktemp("eager-kafka")
    try:
        yield start_broker(data_dir, kafka_cache_dir, properties={"log.cleaner.backoff.ms": "100"}).bootstrap_servers
    finally:
        stop_broker(data_dir)


@pytest.fixture
def eager_installation(eager_kafka, tmp_path) -> Iterator[Installation]:
    """An installation on that broker, without an audit window within which nothing is removed."""
    found = Installation(eager_kafka, tmp_path, CONSOLIDATOR_AUDIT_WINDOW_DAYS="0")
    found.create_topics()
    try:
        yield found
    finally:
        found.close()
