"""The producers of small rounds when Kafka refuses, is busy, or is not there."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, UnsupportedVersionError
from confluent_kafka import KafkaError

from consolidator.connecting.connection import Connection
from models.errors import AuthorizationError, InfrastructureError
from streams.worker.transactions.small_rounds import client as module
from streams.worker.transactions.small_rounds.client import RefusedError, TransactionClient
from streams.worker.transactions.small_rounds.round_transactions import RoundProducers

NOBODY = Connection("localhost:9")
LIMIT_S = 10


@pytest.fixture
def producers():
    """Of a worker without a cluster; closed in the end."""
    made = []

    def make(patience_s=LIMIT_S):
        made.append(RoundProducers(NOBODY, "app", patience_s=patience_s))
        return made[-1]

    yield make
    for each in made:
        each.close()


def attempts(*outcomes):
    """An attempt that comes to one outcome after the other, and how many are left."""
    left = list(outcomes)

    async def attempt():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt, left


def persist(attempt):
    """What the client makes of an attempt."""

    async def run():
        async with asyncio.timeout(LIMIT_S):
            return await TransactionClient(NOBODY).persist(attempt)

    return asyncio.run(run())


def test_a_broker_that_is_busy_has_moved_or_is_gone_is_asked_again():
    attempt, left = attempts(
        RefusedError(KafkaError.CONCURRENT_TRANSACTIONS),
        RefusedError(KafkaError.NOT_LEADER_FOR_PARTITION),
        RefusedError(KafkaError.NOT_COORDINATOR),
        KafkaConnectionError("reset"),
        "done",
        "never",
    )
    assert persist(attempt) == "done"
    assert left == ["never"]


def test_a_topic_that_stays_unknown_does_not_exist(monkeypatch):
    """A new one is not known to every broker at once; one that was deleted will not come back."""
    monkeypatch.setattr(module, "_UNKNOWN_S", 0.05)
    unknown = RefusedError(KafkaError.UNKNOWN_TOPIC_OR_PART, "factors partition 2")
    attempt, left = attempts(unknown, "found", "never")
    assert persist(attempt) == "found"
    attempt, left = attempts(*[unknown] * 100)
    with pytest.raises(RefusedError, match=r"factors partition 2: .*nknown topic"):
        persist(attempt)
    assert left


@pytest.mark.parametrize(
    "refused", [RefusedError(KafkaError.INVALID_PRODUCER_EPOCH), UnsupportedVersionError("an older broker")]
)
def test_what_is_refused_for_good_is_not_asked_again(refused):
    attempt, left = attempts(refused, "never")
    with pytest.raises(type(refused)):
        persist(attempt)
    assert left == ["never"]


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (KafkaError.INVALID_PRODUCER_EPOCH, InfrastructureError, "partition 3: fenced in produce: another worker owns"),
        (KafkaError.ILLEGAL_GENERATION, InfrastructureError, "partition 3: fenced in produce"),
        (
            KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
            InfrastructureError,
            "partition 3: produce failed: .*a restart goes on",
        ),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, AuthorizationError, "Write on transactional-id app-"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AuthorizationError, "topics acls --role worker"),
    ],
)
def test_a_refusal_is_told_in_words(producers, code, error, says):
    """As of librdkafka's transactions: what happened, in which partition, what to do."""
    attempt, _ = attempts(RefusedError(code))
    with pytest.raises(error, match=says):
        producers().run(3, lambda: "produce", attempt)


def test_patience_with_brokers_ends_and_says_at_which_step(producers):
    """Whatever the client waits for."""
    with pytest.raises(InfrastructureError, match="partition 3: produce: the brokers did not do it within 0 s"):
        producers(patience_s=0.05).run(3, lambda: "produce", lambda: asyncio.sleep(LIMIT_S))


def test_a_worker_waits_for_brokers_that_are_not_there_yet(producers):
    with pytest.raises(InfrastructureError, match=r"partition 2: init_transactions: .* not do it within 0 s"):
        producers(patience_s=0.2).fence({4, 2})


def test_a_cluster_with_the_older_protocol_gets_no_producers(producers, monkeypatch):
    """Small rounds have the others' transactions then."""

    async def at_once(_client):
        return False

    monkeypatch.setattr(TransactionClient, "start", at_once)
    monkeypatch.setattr(TransactionClient, "speaks_the_protocol", at_once)
    assert producers().fence({0, 1}) == {}
    assert producers().fence(set()) == {}
