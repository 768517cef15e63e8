"""Several processes under one address: numbers are merged, and a child that hangs holds nothing up."""

import socket
import threading
import time

import pytest

from streams.health.children import Children, answer_parent
from streams.health.merging import merged
from streams.health.probes import livez, readyz
from streams.health.report import Check, Snapshot, State
from tests.simulation.clock import Clock
from tests.unit.health.snapshots import partition, snapshot

LIMIT_S = 30.0
EMPTY = Snapshot("worker", "1.2", "app", "host")


def test_counters_are_added_and_of_ages_the_worst_is_taken():
    """Each by its own rule; labels that only one has stay as they are; partitions come in order."""
    one = snapshot(
        partition(2),
        values={
            "consolidator_dead_letters_total": [(("empty",), 2.0)],
            "consolidator_kafka_lost_seconds": [((), 4.0)],
            "consolidator_partition_lag_records": [(("2",), 5.0)],
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
            "consolidator_partition_lag_records": [(("1",), 7.0)],
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
        "consolidator_partition_lag_records": {("2",): 5.0, ("1",): 7.0},
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
    return Children([parent for parent, _ in pairs], EMPTY, limit_s=0.2, clock=clock)


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


def test_a_child_that_hangs_holds_nothing_up_and_its_numbers_stay(pairs, children, clock):
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
    since = time.monotonic()
    for _ in range(5):
        found = children.look()
    assert time.monotonic() - since < LIMIT_S
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


def test_a_mistake_in_a_child_is_no_silence(pairs, children):
    """It answers that it cannot tell: the process works, and may not be killed for it."""

    def broken():
        raise KeyError("any")

    answer_parent(pairs[0][1], counting("0"))
    answer_parent(pairs[1][1], broken)
    found = until_complete(children, "0, ")
    assert livez(found).status == 200
    assert "process 1: a mistake of this program: KeyError" in livez(found).body.decode()


def test_a_child_that_has_ended_is_not_waited_for(pairs, children):
    """The parent is about to end, too."""
    answer_parent(pairs[0][1], counting("0"))
    pairs[1][1].close()
    assert until_complete(children, "0").partitions[0].state == State.RUNNING
