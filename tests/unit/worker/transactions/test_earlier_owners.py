"""What a new owner says of transactions that earlier owners left open."""

from types import SimpleNamespace

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.worker.transactions import earlier_owners
from streams.worker.transactions.earlier_owners import outwait
from topics.cluster import open_transactions
from topics.cluster.open_transactions import wait_until_offsets_settled, wait_until_settled

NOWHERE = Connection("localhost:9")
UNSTABLE = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)


def outwaited(partitions):
    outwait(NOWHERE, "app", "executions", "changelog", partitions, patience_s=7)


class ScriptedAdmin:
    """Answers by partition: the end of everything, and how the last stable offset comes to it.

    Of a leader that is silent librdkafka answers with -1001, and no error.
    """

    def __init__(self, ends, *stable, silent_first=()):
        self._ends = ends
        self._stable = list(stable)
        self._silent_first = dict(silent_first)

    def list_topics(self, topic, timeout):
        assert timeout > 0
        parts = {partition: SimpleNamespace(leader=7) for partition in self._ends}
        broker = SimpleNamespace(host="kafka-7", port=9092)
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=parts)}, brokers={7: broker})

    def list_offsets(self, question, *, isolation_level, request_timeout):
        assert 0 < request_timeout <= 5
        silent = self._silent_first.get(isolation_level, 0)
        self._silent_first[isolation_level] = silent - 1
        if silent > 0:
            return {place: answered(-1001 if place.partition == 2 else 0) for place in question}
        if isolation_level is IsolationLevel.READ_UNCOMMITTED:
            offsets = self._ends
        else:
            offsets = self._stable.pop(0) if len(self._stable) > 1 else self._stable[0]
        return {place: answered(offsets[place.partition]) for place in question}


class ScriptedCoordinator:
    """Answers with the partitions whose offsets are in an open transaction, or with an error."""

    def __init__(self, *unstable):
        self._unstable = list(unstable)

    def list_consumer_group_offsets(self, question, *, require_stable, request_timeout):
        assert require_stable
        assert request_timeout > 0
        (group,) = question
        errors = self._unstable.pop(0)
        answers = [
            SimpleNamespace(topic=each.topic, partition=each.partition, offset=-1001, error=errors.get(each.partition))
            for each in group.topic_partitions
        ]
        return {group.group_id: SimpleNamespace(result=lambda: SimpleNamespace(topic_partitions=answers))}


def answered(offset):
    return SimpleNamespace(result=lambda: SimpleNamespace(offset=offset))


def test_what_is_open_is_waited_for():
    """Until the last stable offset of each partition has come to what was its end at first."""
    told = []
    admin = ScriptedAdmin({0: 5, 2: 9}, {0: 3, 2: 7}, {0: 5, 2: 7}, {0: 8, 2: 9})
    assert wait_until_settled(admin, "changelog", [0, 2], limit_s=60, waiting=told.append) == []
    assert told == [[0, 2], [2]]


def test_the_wait_has_a_limit():
    """After it, what is still open is named."""
    admin = ScriptedAdmin({0: 5, 2: 9}, {0: 5, 2: 7})
    assert wait_until_settled(admin, "changelog", [0, 2], limit_s=0) == [2]


@pytest.mark.parametrize("silent_for", [IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED])
def test_a_leader_that_is_silent_is_asked_again(silent_for):
    """Its -1001 is no end, below which everything would be settled, and no last stable offset."""
    told, unanswered = [], []
    admin = ScriptedAdmin({0: 5, 2: 9}, {0: 5, 2: 7}, {0: 5, 2: 9}, silent_first={silent_for: 2})
    found = wait_until_settled(
        admin, "changelog", [0, 2], limit_s=60, waiting=told.append, silent=lambda error: unanswered.append(str(error))
    )
    assert found == []
    assert told == [[2]]
    assert len(unanswered) == 2
    assert "changelog: Kafka gave no offset for partition 2 (its leader: broker 7 at kafka-7:9092)" in unanswered[0]


def test_a_leader_that_stays_silent_is_an_error():
    """It names partition and leader, and comes when the caller's patience is over."""
    admin = ScriptedAdmin({0: 5, 2: 9}, {0: 5, 2: 9}, silent_first={IsolationLevel.READ_UNCOMMITTED: 99})
    with pytest.raises(KafkaException, match=r"partition 2 \(its leader: broker 7 at kafka-7:9092\)"):
        wait_until_settled(admin, "changelog", [0, 2], limit_s=0.3)


def test_offsets_of_open_transactions_are_waited_for():
    """Until the coordinator has none of these partitions in an open transaction; after the limit they are named."""
    told = []
    coordinator = ScriptedCoordinator({0: UNSTABLE, 2: UNSTABLE}, {2: UNSTABLE}, {})
    found = wait_until_offsets_settled(coordinator, "app", "executions", [2, 0], limit_s=60, waiting=told.append)
    assert found == []
    assert told == [[0, 2], [2]]
    assert wait_until_offsets_settled(ScriptedCoordinator({2: UNSTABLE}), "app", "executions", [0, 2], limit_s=0) == [2]


def test_any_other_error_of_an_offset_is_no_wait():
    """What the coordinator refuses it will refuse again."""
    refused = ScriptedCoordinator({0: KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)})
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        wait_until_offsets_settled(refused, "app", "executions", [0], limit_s=60)


def test_without_partitions_nobody_is_asked():
    """An assignment may be empty."""
    assert wait_until_settled(None, "changelog", [], limit_s=0) == []
    assert wait_until_offsets_settled(None, "app", "executions", [], limit_s=0) == []


@pytest.fixture(autouse=True)
def accepted(monkeypatch):
    """Nobody is there to refuse anything."""
    monkeypatch.setattr(earlier_owners, "require_credentials", lambda _: None)


@pytest.fixture
def settled(monkeypatch):
    """Nothing is open, as long as a test does not say otherwise; what was waited for, in order."""
    waited = []

    def offsets(_admin, group, topic, partitions, **_):
        waited.append((group, topic, partitions))
        return []

    def records(_admin, topic, partitions, **_):
        waited.append((topic, partitions))
        return []

    monkeypatch.setattr(earlier_owners, "wait_until_offsets_settled", offsets)
    monkeypatch.setattr(earlier_owners, "wait_until_settled", records)
    return waited


def test_the_offsets_are_waited_for_before_the_records(settled):
    """A transaction that has offsets only may still write records; where none has, the changelog's end is the end."""
    outwaited({3, 2})
    assert settled == [("app", "executions", [2, 3]), ("changelog", [2, 3])]


@pytest.mark.parametrize("open_in", ["wait_until_offsets_settled", "wait_until_settled"])
@pytest.mark.usefixtures("settled")
def test_a_transaction_that_stays_open_is_named_with_what_ends_it(monkeypatch, open_in):
    """The worker cannot recover what it cannot see."""
    monkeypatch.setattr(earlier_owners, open_in, lambda *_, **__: [2, 3])
    with pytest.raises(InfrastructureError, match=r"changelog partition 2, 3: .* open, for 14 s now.* find-hanging"):
        outwaited({3, 2})


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    """With what it said."""
    refused = KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))
    monkeypatch.setattr(open_transactions, "ask_for_offsets", lambda *_, **__: (_ for _ in ()).throw(refused))
    with pytest.raises(
        InfrastructureError, match="changelog: cannot find out whether a transaction is open: _TIMED_OUT: no"
    ):
        outwaited({1})


@pytest.mark.usefixtures("settled")
def test_a_long_wait_is_told_once(monkeypatch):
    """A person at night reads what the worker waits for, and where."""
    said = []
    monkeypatch.setattr(earlier_owners, "_SLOW_S", -1)
    monkeypatch.setattr(earlier_owners, "_log", SimpleNamespace(warning=lambda _, **members: said.append(members)))

    def wait(*_, waiting, **__):
        waiting([1])
        waiting([1])
        return []

    monkeypatch.setattr(earlier_owners, "wait_until_offsets_settled", wait)
    monkeypatch.setattr(earlier_owners, "wait_until_settled", wait)
    outwaited({1})
    assert said == [{"topic": "changelog", "partitions": [1]}]
