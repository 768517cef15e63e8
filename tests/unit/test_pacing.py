"""When a partition's next batch may begin."""

from math import inf

import pytest
from faust.types import TP

from streams.worker.transport.pacing import Pacing

FIRST, SECOND = TP("executions", 0), TP("executions", 1)
INTERVAL_S = 0.01


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pacing(clock):
    """Of batches of at most 400 events: one of 100 is large."""
    return Pacing(400, clock)


def test_a_small_batch_lets_the_next_one_wait_for_its_commit(pacing, clock):
    """What comes meanwhile makes the next one larger; other partitions do not wait."""
    assert pacing.pause_s(FIRST, 1) == 0
    pacing.began(FIRST, 9, 99)
    clock.now += 1
    assert pacing.pause_s(FIRST, 1) == inf
    assert pacing.pause_s(SECOND, 1) == 0
    pacing.ended(FIRST, 9)
    assert pacing.pause_s(FIRST, 1) == 0


def test_small_batches_begin_at_an_interval(pacing, clock):
    """However fast the commit is; one that has become large meanwhile begins at once."""
    pacing.began(FIRST, 9, 10)
    pacing.ended(FIRST, 9)
    assert pacing.pause_s(FIRST, 99) == pytest.approx(INTERVAL_S)
    assert pacing.pause_s(FIRST, 100) == 0
    clock.now += 0.007
    assert pacing.pause_s(FIRST, 99) == pytest.approx(INTERVAL_S - 0.007)
    clock.now += 0.007
    assert pacing.pause_s(FIRST, 99) == 0


def commit_small_batches(pacing, clock, count, seconds):
    """Batches one after the other, each of which takes so long, and a pause after which the next may begin."""
    for offset in range(count):
        clock.now += 1
        pacing.began(FIRST, offset, 10)
        clock.now += seconds
        pacing.ended(FIRST, offset)


@pytest.mark.parametrize(
    ("took_s", "interval_s"), [(0.001, 0.01), (0.004, 0.01), (0.01, 0.02), (0.02, 0.04), (1, 0.05)]
)
def test_the_interval_follows_what_batches_take(pacing, clock, took_s, interval_s):
    """Twice as long, within bounds, whatever it was before: a busy broker gets fewer transactions, a quick one more."""
    for before_s in (0.001, 1):
        commit_small_batches(pacing, clock, 200, before_s)
        commit_small_batches(pacing, clock, 200, took_s)
        pacing.began(SECOND, 9, 10)
        pacing.ended(SECOND, 9)
        assert pacing.pause_s(SECOND, 1) == pytest.approx(interval_s, rel=0.1)


def test_one_slow_commit_makes_little_difference(pacing, clock):
    """Nor do large batches, which are not slow for the broker's sake."""
    commit_small_batches(pacing, clock, 200, 0.008)
    commit_small_batches(pacing, clock, 1, 0.05)
    pacing.began(FIRST, 1_000, 400)
    clock.now += 5
    pacing.ended(FIRST, 1_000)
    pacing.began(SECOND, 9, 10)
    pacing.ended(SECOND, 9)
    assert 0.016 < pacing.pause_s(SECOND, 1) < 0.025


def test_a_large_batch_lets_one_more_be_folded_while_it_commits(pacing):
    """One, not two: the next but one would only lie in a queue."""
    pacing.began(FIRST, 99, 100)
    assert pacing.pause_s(FIRST, 100) == 0
    pacing.began(FIRST, 199, 100)
    assert pacing.pause_s(FIRST, 100) == inf
    pacing.ended(FIRST, 99)
    assert pacing.pause_s(FIRST, 100) == 0


def test_what_was_under_way_before_an_assignment_holds_nothing_back(pacing):
    """Batches that a rebalance took away are never committed here; a late word of one is harmless."""
    pacing.began(FIRST, 9, 10)
    pacing.forget()
    assert pacing.pause_s(FIRST, 1) == 0
    pacing.ended(FIRST, 9)
    pacing.began(FIRST, 19, 10)
    pacing.ended(FIRST, 9)
    assert pacing.pause_s(FIRST, 1) == inf
