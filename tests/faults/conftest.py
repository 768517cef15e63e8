"""Fixtures of the fault scenarios: a broker whose log cleaner runs several times a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker.embedded import start_broker
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed


@pytest.fixture(scope="session")
def eager_kafka_directory(tmp_path_factory) -> Path:
    """The data directory of that broker."""
    return tmp_path_factory.mktemp("eager-kafka")


@pytest.fixture(scope="session")
def eager_kafka(eager_kafka_directory, kafka_cache_dir) -> Iterator[str]:
    """A broker whose log cleaner runs all the time."""
    properties = {"log.cleaner.backoff.ms": "100"}
    try:
        yield start_broker(eager_kafka_directory, kafka_cache_dir, properties=properties).bootstrap_servers
    finally:
        discard_broker(eager_kafka_directory)


@pytest.fixture
def eager_installation(eager_kafka, tmp_path) -> Iterator[Installation]:
    """An installation on that broker, without an audit window, so that compaction is not delayed."""
    with installed(eager_kafka, tmp_path, CONSOLIDATOR_AUDIT_WINDOW_DAYS="0") as found:
        yield found
