"""Addresses are read strictly, and brokers that are not there are named at once."""

import socket
from contextlib import ExitStack

import pytest

from consolidator.connecting.addresses import Servers, parse_servers, require_listener, servers_text
from models.errors import InfrastructureError
from tests.inputs.waiting import waiting

TWO_SECONDS = 2.0
_MORE_THAN_LINUX_KEEPS = 4


@pytest.fixture
def listener():
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a:1", [("a", 1)]),
        ("a:1, b-2.example.org:65535", [("a", 1), ("b-2.example.org", 65535)]),
        ("[::1]:9092", [("::1", 9092)]),
    ],
)
def test_addresses(text, addresses):
    """Host and port, comma-separated."""
    assert parse_servers(text) == addresses


@pytest.mark.parametrize(
    "text",
    ["", "a", "a:", ":1", "a:0", "a:65536", "a:-1", "a:1_0", "http://a:1", "PLAINTEXT://a:1", "a:1,", "a b:1", "a:٣"],
)
def test_what_is_no_address(text):
    """Is refused, and shown."""
    with pytest.raises(ValueError, match="is no host:port such as"):
        parse_servers(text)


def test_a_listener_is_enough(listener):
    """Brokers that are down do not matter while one is up."""
    require_listener(Servers(f"127.0.0.1:1,no-such-host.invalid:1,{listener}"))


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1,no-such-host.invalid:9092"])
def test_nobody_listens(servers):
    """Two seconds at most, and every address with its reason, under the name of what gave it."""
    with waiting() as waited_s:
        with pytest.raises(InfrastructureError) as refused:
            require_listener(Servers(servers, "--bootstrap-servers"))
        assert waited_s() < TWO_SECONDS
    assert str(refused.value).startswith("no Kafka broker (--bootstrap-servers): 127.0.0.1:1 refuses the connection")
    assert all(address in str(refused.value) for address in servers.split(","))


def test_nobody_answers():
    """A listener whose queue is full is not waited for."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as queue, waiting() as waited_s:
        for _ in range(_MORE_THAN_LINUX_KEEPS):
            one = queue.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003 - takes no keyword
            one.connect_ex(server.getsockname())
        with pytest.raises(InfrastructureError, match=r"does not answer within 1\.5 s"):
            require_listener(Servers(f"127.0.0.1:{server.getsockname()[1]}"))
        assert waited_s() < TWO_SECONDS


def test_addresses_keep_their_name_in_a_configuration():
    """Whatever is added to it."""
    config = {"bootstrap.servers": Servers("a:1", "--bootstrap-servers")}
    assert servers_text({**config, "client.id": "x"}) == "a:1 (--bootstrap-servers)"
    assert servers_text({"bootstrap.servers": "a:1"}) == "a:1 (KAFKA_BOOTSTRAP_SERVERS)"
