"""What a Kafka node is told."""

from pathlib import Path

import pytest

from streams.broker.config import BrokerConfig, broker_properties, render_properties

REPLICATED = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
)
IN_SYNC = ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr")


def test_a_single_node_is_broker_and_controller_with_one_replica_of_everything():
    """A node without a quorum of others votes for itself and asks for no replica that cannot exist."""
    properties = broker_properties(BrokerConfig(Path("/data"), port=19_100, controller_port=19_101))
    assert properties["process.roles"] == "broker,controller"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:19101"
    assert {properties[name] for name in REPLICATED + IN_SYNC} == {"1"}


def test_three_nodes_keep_three_replicas_and_survive_the_loss_of_one():
    """In a cluster of three every node names the same quorum, and writes need two replicas in sync."""
    voters = {3: 19_301, 1: 19_101, 2: 19_201}
    properties = broker_properties(BrokerConfig(Path("/data"), 19_200, 19_201, node_id=2, voters=voters))
    assert properties["node.id"] == "2"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:19101,2@127.0.0.1:19201,3@127.0.0.1:19301"
    assert {properties[name] for name in REPLICATED} == {"3"}
    assert {properties[name] for name in IN_SYNC} == {"2"}


def test_every_listener_is_on_the_loopback_interface():
    """Nobody but this machine can connect: the broker has no authentication."""
    properties = broker_properties(BrokerConfig(Path("/data"), 19_100, 19_101))
    addresses = f"{properties['listeners']},{properties['advertised.listeners']}".split(",")
    assert [address.split("//")[1].split(":")[0] for address in addresses] == ["127.0.0.1"] * 3


def test_a_given_property_wins_over_the_chosen_one():
    """A test or a benchmark can change any setting of the broker."""
    config = BrokerConfig(Path("/data"), 19_100, 19_101, properties={"auto.create.topics.enable": "true", "a.b": "c"})
    properties = broker_properties(config)
    assert properties["auto.create.topics.enable"] == "true"
    assert properties["a.b"] == "c"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("/home/a b/kafka", "k=/home/a b/kafka\n"),
        (" leading", "k=\\ leading\n"),
        ("C:\\kafka", "k=C:\\\\kafka\n"),
        ("/home/jürgen", "k=/home/j\\u00fcrgen\n"),
        ("/data/🚀", "k=/data/\\ud83d\\ude80\n"),
        ("two\nlines", "k=two\\u000alines\n"),
    ],
)
def test_values_are_written_as_java_reads_them(value, line):
    """Backslashes, leading blanks and anything beyond ASCII reach Kafka as they were meant."""
    assert render_properties({"k": value}) == line
