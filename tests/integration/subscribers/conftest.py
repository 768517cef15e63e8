"""An installation with something to subscribe to."""

import pytest

from tests.integration.waiting.publisher import Publisher, waiter_of
from tests.real_kafka.installed import installed


@pytest.fixture(scope="module")
def world(kafka, tmp_path_factory):
    """An installation with a worker, and the strategy's cases: one set, one cleared, one with many digits."""
    with installed(kafka, tmp_path_factory.mktemp("page")) as found:
        found.start().wait_ready(found.partitions)
        publisher = Publisher(found)
        publisher.event(1, "set")
        publisher.event(1, "cleared")
        last = publisher.event(2, "cleared", status="failed", output=None, execution_id="e-1", attempt=2)
        with waiter_of(found) as waiter:
            waiter.wait_for(last)
        yield found
