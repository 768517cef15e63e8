"""When a partition's next batch may begin."""

from math import inf

import pytest
from faust.types import TP

from streams.worker.transport.pacing import Pacing

FIRST, SECOND = TP("executions", 0), TP("executions", 1)
INTERVAL_S = 0.02


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
    clock.now += 0.015
    assert pacing.pause_s(FIRST, 99) == pytest.approx(INTERVAL_S - 0.015)
    clock.now += 0.015
    assert pacing.pause_s(FIRST, 99) == 0


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
