"""Publishes events one by one, for tests that wait for them."""

import json

from confluent_kafka import Producer

from consolidator import Waiter, partition_of
from consolidator.keys import event_key
from tests.real_kafka.installation import LIMIT_S


class Publisher:
    """Publishes events one by one, and has their places.

    Args:
        installation: where.
    """

    def __init__(self, installation):
        self.installation = installation
        self._producer = Producer(installation.config | {"linger.ms": 0})

    def record(self, key, value, partition):
        """The place of a record, once it is delivered."""
        delivered = []
        topic = self.installation.topics.executions.name
        self._producer.produce(topic, value, key, partition, on_delivery=lambda *report: delivered.append(report[1]))
        assert self._producer.flush(LIMIT_S) == 0
        [message] = delivered
        assert message.error() is None
        return message.partition(), message.offset()

    def event(self, number, application="a", **members):
        """The place of an event under its canonical key."""
        value = self.value(number, application, **members)
        return self.record(event_key(application, f"ev-{number}"), value, self.home(application))

    def value(self, number, application="a", **members):
        """An event's bytes; a member that is None is left out."""
        event = {
            "application_id": application,
            "execution_id": f"e-{number}",
            "processor": "bank_statement",
            "status": "completed",
            "occurred_at": f"2025-03-03T09:{number // 60 % 60:02}:{number % 60:02}Z",
            "output": {"factors": {"f_revenue_monthly": 10_000 + number}},
            "event_id": f"ev-{number}",
        } | members
        return json.dumps({name: member for name, member in event.items() if member is not None}).encode()

    def home(self, application):
        """The application's partition."""
        return partition_of(application, self.installation.partitions)


def waiter_of(installation):
    """A waiter of an installation."""
    servers, prefix = str(installation.config["bootstrap.servers"]), f"{installation.name}."
    return Waiter(servers, app_id=installation.name, topic_prefix=prefix)
