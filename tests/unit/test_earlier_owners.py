"""What a new owner says of transactions that earlier owners left open."""

from types import SimpleNamespace

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException

from models.errors import InfrastructureError
from streams.worker import earlier_owners
from streams.worker.earlier_owners import outwait
from topics import open_transactions
from topics.connection import Connection
from topics.open_transactions import wait_until_settled

NOWHERE = Connection("localhost:9")


class ScriptedAdmin:
    """Answers by partition: the end of everything, and how the last stable offset comes to it."""

    def __init__(self, ends, *stable):
        self._ends = ends
        self._stable = list(stable)

    def list_offsets(self, question, *, isolation_level, request_timeout):
        assert request_timeout > 0
        if isolation_level is IsolationLevel.READ_UNCOMMITTED:
            offsets = self._ends
        else:
            offsets = self._stable.pop(0) if len(self._stable) > 1 else self._stable[0]
        return {place: answered(offsets[place.partition]) for place in question}


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


def test_without_partitions_nobody_is_asked():
    """An assignment may be empty."""
    assert wait_until_settled(None, "changelog", [], limit_s=0) == []


def test_a_transaction_that_stays_open_is_named_with_what_ends_it(monkeypatch):
    """The worker cannot recover what it cannot see."""
    monkeypatch.setattr(earlier_owners, "wait_until_settled", lambda *_, **__: [2, 3])
    with pytest.raises(InfrastructureError, match=r"changelog partition 2, 3: .* open, for 14 s now.* find-hanging"):
        outwait(NOWHERE, "changelog", {3, 2}, patience_s=7)


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    """With what it said."""
    refused = KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))
    monkeypatch.setattr(open_transactions, "ask_patiently", lambda *_, **__: (_ for _ in ()).throw(refused))
    with pytest.raises(InfrastructureError, match="changelog: its end cannot be told: _TIMED_OUT: no answer"):
        outwait(NOWHERE, "changelog", {1}, patience_s=7)


def test_a_long_wait_is_told_once(monkeypatch):
    """A person at night reads what the worker waits for, and where."""
    said = []
    monkeypatch.setattr(earlier_owners, "_SLOW_S", -1)
    monkeypatch.setattr(earlier_owners, "_log", SimpleNamespace(warning=lambda _, **members: said.append(members)))

    def wait(*_, waiting, **__):
        waiting([1])
        waiting([1])
        return []

    monkeypatch.setattr(earlier_owners, "wait_until_settled", wait)
    outwait(NOWHERE, "changelog", {1}, patience_s=7)
    assert said == [{"topic": "changelog", "partitions": [1]}]
