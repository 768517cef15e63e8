"""What Kafka's clients say of connections is heard, and not logged."""

import asyncio
import errno
import logging

import pytest
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, TopicAuthorizationFailedError
from aiokafka.errors import KafkaError as AiokafkaError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from streams.runtime.contact import KafkaContact
from streams.worker.transport.hearing import (
    _is_of_no_facility,
    _names_no_passing_error,
    heard_connection,
    librdkafka_errors,
    passes,
)

LIMIT_S = 60.0
JOIN_GROUP, HEARTBEAT = 11, 12


def lost(told):
    """The brokers that are lost some seconds after something was told."""
    now = 0.0
    contact = KafkaContact(lambda: now)
    told(contact)
    now = 5.0
    with capture_logs() as lines:
        contact.look()
    return [line["waiting_for"].removeprefix("an answer of ") for line in lines]


@pytest.mark.parametrize(
    ("code", "text", "brokers"),
    [
        (KafkaError._TRANSPORT, "kafka-2.example:9092/2: Connect to ipv4#10.0.0.2:9092 failed: refused", 1),
        (KafkaError._RESOLVE, "kafka-2.example:9092/2: Failed to resolve 'kafka-2.example:9092'", 1),
        (KafkaError._TRANSPORT, "kafka-2.example:9092/bootstrap: Connect to ipv4#10.0.0.2:9092 failed: refused", 0),
        (KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down", 0),
        (KafkaError._FENCED, "kafka-2.example:9092/2: fenced", 0),
    ],
)
def test_librdkafka_names_the_broker_that_it_cannot_reach(code, text, brokers):
    """A broker by its advertised name; an address to begin with is another name for one of them."""
    told = lost(lambda contact: librdkafka_errors(contact)(KafkaError(code, text)))
    assert told == ["kafka-2.example:9092"] * brokers


@pytest.mark.parametrize(
    ("error", "does"),
    [
        (ConnectionRefusedError("refused"), True),
        (TimeoutError(), True),
        (EOFError(), True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call failed"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (OSError(errno.EMFILE, "Too many open files"), False),
        (asyncio.CancelledError(), True),
        (KafkaConnectionError("closed"), True),
        (NodeNotReadyError("not ready"), True),
        (TopicAuthorizationFailedError("topic"), False),
        (ValueError("a defect"), False),
    ],
)
def test_what_passes_by_itself(error, does):
    """Connections come back; what is refused for good, and defects, do not pass."""
    assert passes(error) == does
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed at %s: %s", (7, error), None)
    assert _names_no_passing_error(record) != does


def test_librdkafkas_lines_of_connections_are_recognised():
    """Its facility comes first; other lines are kept."""

    def record(facility):
        return logging.LogRecord("librdkafka", logging.ERROR, "x.py", 1, "%s [%s] %s", (facility, "p-1", "x"), None)

    assert not _is_of_no_facility(record("FAIL"))
    assert _is_of_no_facility(record("TXNERR"))


async def greet(reader, writer):
    """A broker that knows no request but the first one, *ApiVersions*, and that one without an error."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        request = await reader.readexactly(size)
        answer = request[4:8] + bytes(2) + bytes(4)
        writer.write(len(answer).to_bytes(4, "big") + answer)
        await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(("protocol", "is_lost"), [("PLAINTEXT", False), ("SASL_PLAINTEXT", True)])
def test_a_broker_that_greets_and_then_refuses_is_lost(protocol, is_lost):
    """Credentials that are refused at each attempt are no answer, although each attempt begins with one."""
    now = 0.0
    contact = KafkaContact(lambda: now)
    connection = heard_connection(contact)

    async def connect(port):
        found = connection(
            "127.0.0.1",
            port,
            security_protocol=protocol,
            sasl_mechanism="PLAIN",
            sasl_plain_username="u",
            sasl_plain_password="p",
        )
        try:
            await found.connect()
        except AiokafkaError:
            return
        await found.close()

    async def attempts():
        nonlocal now
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            for _ in range(10):
                await connect(server.sockets[0].getsockname()[1])
                now += 1.0

    asyncio.run(attempts())
    with capture_logs() as lines:
        contact.look()
    assert [line["event"] for line in lines] == ["Kafka is lost"] * is_lost


async def say_nothing(reader, writer):
    """A broker that is frozen: its machine takes connections, and nobody answers."""
    try:
        await reader.read()
    finally:
        writer.close()


async def greet_and_say_nothing(reader, writer):
    """A broker that is frozen after its first answer: it knows heartbeats, and requests to join."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        request = await reader.readexactly(size)
        known = b"".join(key.to_bytes(2, "big") + bytes(2) + (2).to_bytes(2, "big") for key in (JOIN_GROUP, HEARTBEAT))
        answer = request[4:8] + bytes(2) + (2).to_bytes(4, "big") + known
        writer.write(len(answer).to_bytes(4, "big") + answer)
        await reader.read()
    finally:
        writer.close()


@pytest.fixture
def impatient(monkeypatch):
    """A short limit, beside aiokafka's own of a minute and more."""
    monkeypatch.setattr("streams.worker.transport.hearing._ANSWER_S", 2.0)
    monkeypatch.setattr("streams.worker.transport.hearing._HEARTBEAT_S", 1.0)


def beside(broker, scenario, *, is_first=False):
    """Run a scenario, which gets a connection that is not made yet; what is said of the broker some seconds later."""
    now = 0.0
    contact = KafkaContact(lambda: now)

    async def run():
        async with await asyncio.start_server(broker, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with asyncio.timeout(LIMIT_S):
                told = None if is_first else lambda _connection, _reason: None
                await scenario(heard_connection(contact)("127.0.0.1", port, request_timeout_ms=90_000, on_close=told))

    asyncio.run(run())
    now = 5.0
    with capture_logs() as lines:
        contact.look()
    return [line["error"] for line in lines]


def test_a_connection_to_a_broker_that_is_silent_is_given_up(impatient):
    """Nobody else's connection is made meanwhile, not even to the broker that has taken its partitions over."""

    async def scenario(connection):
        with pytest.raises(TimeoutError):
            await connection.connect()

    assert beside(say_nothing, scenario) == ["no answer within 2 s"]


def test_the_first_connection_of_a_client_has_the_clients_own_limit(impatient):
    """A start that has no answer ends the worker, so it has longer, and the log says meanwhile what it waits for."""

    async def scenario(connection):
        connecting = asyncio.ensure_future(connection.connect())
        done, _ = await asyncio.wait([connecting], timeout=3.0)
        assert not done
        connecting.cancel()

    assert beside(say_nothing, scenario, is_first=True) == []


def test_an_answer_of_a_broker_that_is_silent_is_given_up_but_not_that_to_a_join(impatient):
    """A heartbeat is asked again, and then of another coordinator. A join waits for the other members."""

    async def scenario(connection):
        await connection.connect()
        with pytest.raises(TimeoutError):
            await connection.send(HeartbeatRequest("group", 1, "me"))
        join = asyncio.ensure_future(connection.send(JoinGroupRequest("group", 9_000, 9_000, "", None, "consumer", [])))
        # Longer than either limit.
        done, _ = await asyncio.wait([join], timeout=3.0)
        assert not done
        join.cancel()
        connection.close()

    assert beside(greet_and_say_nothing, scenario) == ["no answer within 1 s"]
