"""Several processes under one address: numbers are merged, and a child that hangs holds nothing up."""

import select
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from streams.health.children import Children, answer_parent
from streams.health.exposition import metrics
from streams.health.merging import merged
from streams.health.probes import livez, readyz
from streams.health.report import Check, Snapshot, State
from tests.simulation.clock import Clock
from tests.unit.health.snapshots import partition, snapshot

LIMIT_S = 30.0

ALL_S = 0.2
"""How long all children together are waited for here."""

EMPTY = Snapshot("worker", "1.2", "app", "host")


def test_counters_are_added_and_of_ages_the_worst_is_taken():
    """Each by its own rule; labels that only one has stay as they are; partitions come in order."""
    one = snapshot(
        partition(2),
        values={
            "consolidator_dead_letters_total": [(("empty",), 2.0)],
            "consolidator_kafka_lost_seconds": [((), 4.0)],
            "consolidator_partition_lag_offsets": [(("2",), 5.0)],
            "process_start_time_seconds": [((), 100.0)],
        },
        histograms={"consolidator_batch_records": ([1] * 12, 5.0)},
    )
    other = snapshot(
        partition(1),
        worker="host/worker-1",
        values={
            "consolidator_dead_letters_total": [(("empty",), 3.0), (("too_deep",), 1.0)],
            "consolidator_kafka_lost_seconds": [((), 0.0)],
            "consolidator_partition_lag_offsets": [(("1",), 7.0)],
            "process_start_time_seconds": [((), 90.0)],
        },
        histograms={"consolidator_batch_records": ([2] * 12, 6.0)},
    )
    found = merged([(0, one), (1, other)])
    assert found.worker == "host/worker-0, host/worker-1"
    assert [each.partition for each in found.partitions] == [1, 2]
    assert {name: dict(values) for name, values in found.values.items()} == {
        "consolidator_dead_letters_total": {("empty",): 5.0, ("too_deep",): 1.0},
        "consolidator_kafka_lost_seconds": {(): 4.0},
        "consolidator_partition_lag_offsets": {("2",): 5.0, ("1",): 7.0},
        "process_start_time_seconds": {(): 90.0},
    }
    assert found.histograms == {"consolidator_batch_records": ([3] * 12, 11.0)}


def test_a_check_that_fails_in_one_process_names_it():
    """The others' good news does not hide it."""
    bad = snapshot(checks=[Check("event_loop", ok=False, says="blocked", deadly=True)])
    good = snapshot(checks=[Check("event_loop", ok=True, says="runs", deadly=True)])
    assert [check.says for check in merged([(0, good), (1, bad)]).checks] == ["process 1: blocked"]
    assert [check.says for check in merged([(0, good), (1, good)]).checks] == ["runs"]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pairs():
    found = [socket.socketpair() for _ in range(2)]
    yield found
    for pair in found:
        for end in pair:
            end.close()


@pytest.fixture
def children(pairs, clock):
    return Children([parent for parent, _ in pairs], EMPTY, limit_s=ALL_S, clock=clock)


def counting(name):
    """A child whose counter rises with each look."""
    looks = iter(range(1, 1_000))
    return lambda: snapshot(
        partition(int(name)),
        worker=name,
        values={"consolidator_dead_letters_total": [(("empty",), float(next(looks)))]},
    )


def letters(found):
    return dict(found.values["consolidator_dead_letters_total"])["empty",]


def until_complete(children, workers):
    """Look until all children have answered; on a busy machine their threads may be late."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = children.look()
        if found.worker == workers:
            return found
    raise AssertionError(found)


def test_every_child_is_asked_each_time(pairs, children):
    """The answers are fresh, and together."""
    for name, (_, child) in zip("01", pairs, strict=True):
        answer_parent(child, counting(name))
    before = letters(until_complete(children, "0, 1"))
    found = until_complete(children, "0, 1")
    assert letters(found) > before
    assert [one.partition for one in found.partitions] == [0, 1]
    assert livez(found).status == readyz(found).status == 200


def test_while_children_start_the_parent_is_alive_and_not_ready(children, clock):
    """Nobody answers yet: Faust is being imported. After two minutes of it that process hangs."""
    found = children.look()
    assert (livez(found).status, readyz(found).status) == (200, 503)
    clock.now += 100
    assert livez(children.look()).status == 200
    clock.now += 30
    found = children.look()
    assert livez(found).status == 503
    assert "process 0 has not answered for 130 s: it hangs" in livez(found).body.decode()


def test_a_child_that_started_before_the_first_question_has_not_been_silent(children, clock):
    """The first scrape comes long after the start: nobody has asked before, so nobody was left without an answer."""
    clock.now += 600
    found = children.look()
    assert livez(found).status == 200
    assert "process 0 is starting" in livez(found).body.decode()
    clock.now += 130
    assert livez(children.look()).status == 503


class Waits:
    """What is waited for, in milliseconds, as the parent asks for it."""

    def __init__(self):
        self.asked_ms = []

    def poll(self):
        """The operating system's, and its limits are kept."""
        real = select.poll()

        def waited(limit_ms):
            self.asked_ms.append(limit_ms)
            return real.poll(limit_ms)

        return SimpleNamespace(register=real.register, unregister=real.unregister, poll=waited)


def test_a_child_that_hangs_holds_nothing_up_and_its_numbers_stay(pairs, children, clock, monkeypatch):
    """Its last answer stands in for it, so that no counter falls; after 15 s it is dead, until it goes on."""
    may_answer = threading.Event()
    may_answer.set()
    look = counting("1")

    def hanging():
        may_answer.wait()
        return look()

    answer_parent(pairs[0][1], counting("0"))
    answer_parent(pairs[1][1], hanging)
    before = letters(until_complete(children, "0, 1"))
    may_answer.clear()
    waits = Waits()
    monkeypatch.setattr("streams.health.children.select", SimpleNamespace(poll=waits.poll, POLLIN=select.POLLIN))
    since = time.monotonic()
    for _ in range(5):
        found = children.look()
    # A machine that is busy takes its time, and no wait is longer for it. Five seconds for each would be 25.
    assert max(waits.asked_ms) <= ALL_S * 1000
    assert time.monotonic() - since < LIMIT_S / 2
    assert letters(found) >= before
    assert [one.partition for one in found.partitions] == [0, 1]
    assert livez(found).status == 200
    clock.now += 16
    found = children.look()
    assert livez(found).status == readyz(found).status == 503
    assert "process 1 has not answered for 16 s: it hangs" in livez(found).body.decode()
    may_answer.set()
    deadline = time.monotonic() + LIMIT_S
    while livez(children.look()).status != 200 and time.monotonic() < deadline:
        pass
    assert letters(children.look()) > before


def test_an_hour_without_a_scrape_is_no_silence(pairs, children, clock):
    """A child is silent from the first request on that it does not answer."""
    answer_parent(pairs[0][1], counting("0"))
    answer_parent(pairs[1][1], counting("1"))
    until_complete(children, "0, 1")
    clock.now += 3_600
    assert livez(children.look()).status == 200


def until_said(children, text):
    """Look until a text is among the answers."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = children.look()
        if text in livez(found).body.decode():
            return found
    raise AssertionError(livez(found).body.decode())


MISTAKE = "process 0: a mistake of this program"


@pytest.mark.parametrize("unspeakable", [False, True], ids=["it cannot look", "it cannot say what it sees"])
def test_a_mistake_in_a_child_hides_nothing_that_was_known(pairs, children, unspeakable):
    """It cannot tell: neither alive nor ready, as a single process with its 500; numbers and role stay until it can."""
    wrong = threading.Event()
    look = counting("0")

    def broken():
        found = look()
        if wrong.is_set():
            if not unspeakable:
                raise KeyError("any")
            found.app_id = object()
        return found

    answer_parent(pairs[0][1], broken)
    answer_parent(pairs[1][1], counting("1"))
    before = letters(until_complete(children, "0, 1"))
    wrong.set()
    found = until_said(children, MISTAKE)
    assert livez(found).status == readyz(found).status == 503
    assert (found.role, found.worker, found.app_id) == ("worker", "0, 1", "app")
    assert letters(found) >= before
    assert [one.partition for one in found.partitions] == [0, 1]
    assert b"consolidator_dead_letters_total{" in metrics(found).body
    wrong.clear()
    deadline = time.monotonic() + LIMIT_S
    while livez(children.look()).status != 200:
        assert time.monotonic() < deadline


def test_a_child_that_has_never_looked_without_a_mistake_is_a_worker_still(pairs, children):
    """Nothing else is known of it, and what the others say is said under their role."""

    def broken():
        raise KeyError("any")

    answer_parent(pairs[0][1], broken)
    answer_parent(pairs[1][1], counting("1"))
    found = until_complete(children, "host, 1")
    assert found.role == "worker"
    assert b"consolidator_dead_letters_total{" in metrics(found).body
    assert f"{MISTAKE}: KeyError" in livez(found).body.decode()
    assert livez(found).status == readyz(found).status == 503


def test_a_child_that_has_ended_is_not_waited_for(pairs, children):
    """The parent is about to end, too."""
    answer_parent(pairs[0][1], counting("0"))
    pairs[1][1].close()
    assert until_complete(children, "0").partitions[0].state == State.RUNNING
