"""A subscription whose consumer no longer fetches a partition, although Kafka has more of it."""

import pytest
from confluent_kafka import TopicPartition

from consolidator import CaughtUp, Subscription
from tests.real_kafka.subscribing import View, Watched

pytestmark = pytest.mark.kafka

APPLICATIONS = [f"app-{number}" for number in range(6)]


def stop_fetching(subscription: Subscription, topic: str, partitions: int) -> None:
    """As librdkafka did in the middle of a broker's restart: the subscription does not learn of it."""
    engine = subscription._engine
    assert engine is not None
    engine.journal.consumer.pause([TopicPartition(topic, partition) for partition in range(partitions)])


@pytest.mark.parametrize("group", [None, "readers"], ids=["alone", "in a group"])
def test_it_goes_on(published, subscribed, group):
    """The consumer is opened anew at its positions; a member of a group joins it again."""
    published.change(*APPLICATIONS)
    with Watched(subscribed(group=group, stall_s=1.0, progress_s=0.3)) as watched:
        watched.wait_for(lambda: View().take([*watched.items]).agrees(published.expected), "the first changes")
        watched.wait_kind(CaughtUp)
        stop_fetching(watched.subscription, published.names[0], published.installation.partitions)
        published.change(*APPLICATIONS)
        watched.wait_for(lambda: View().take([*watched.items]).agrees(published.expected), "the next changes")
