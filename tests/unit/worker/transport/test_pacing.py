"""When the next batches may begin."""

from math import inf

import pytest
from faust.types import TP

from streams.partition.batch import Batch
from streams.worker.round import Membership, Round
from streams.worker.transport.pacing import Pacing, fetch_bytes
from tests.simulation.clock import Clock

FIRST, SECOND = TP("executions", 0), TP("executions", 1)
INTERVAL_S = 0.003
ME = Membership("app", 1, "me")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pacing(clock):
    """Of batches of at most 400 events: one of 100 is large."""
    return Pacing(400, clock)


def round_of(events, *tps):
    return Round([Batch(tp.topic, tp.partition, 0, events, range(events)) for tp in tps], ME)


def test_a_partition_that_is_held_holds_back_nobody_else(pacing):
    """It has something else to do, for however long; an assignment begins without it."""
    pacing.hold(0, is_held=True)
    assert (pacing.is_held(0), pacing.is_held(1)) == (True, False)
    pacing.hold(0, is_held=False)
    assert not pacing.is_held(0)
    pacing.hold(0, is_held=True)
    pacing.assigned(2)
    assert not pacing.is_held(0)


def test_a_round_of_small_batches_lets_the_next_one_wait_for_its_commit(pacing, clock):
    """What comes meanwhile makes the next one larger, whatever its partition; a large batch waits for its own alone."""
    assert pacing.pause_s(FIRST, 1) == 0
    pacing.began(small := round_of(99, FIRST))
    clock.now += 1
    assert pacing.pause_s(FIRST, 1) == inf
    assert pacing.pause_s(FIRST, 100) == inf
    assert pacing.pause_s(SECOND, 1) == inf
    assert pacing.pause_s(SECOND, 100) == 0
    pacing.ended(small)
    assert pacing.pause_s(FIRST, 1) == 0
    assert pacing.pause_s(SECOND, 1) == 0


def test_a_round_ends_for_all_its_partitions(pacing, clock):
    """They were committed in one transaction."""
    pacing.began(both := round_of(10, FIRST, SECOND))
    clock.now += 1
    assert [pacing.pause_s(tp, 100) for tp in (FIRST, SECOND)] == [inf, inf]
    pacing.ended(both)
    assert [pacing.pause_s(tp, 100) for tp in (FIRST, SECOND)] == [0, 0]


def test_rounds_begin_at_an_interval(pacing, clock):
    """However fast the commit is; a batch that has become large meanwhile begins at once."""
    pacing.began(small := round_of(10, FIRST))
    pacing.ended(small)
    for tp in (FIRST, SECOND):
        assert pacing.pause_s(tp, 99) == pytest.approx(INTERVAL_S)
        assert pacing.pause_s(tp, 100) == 0
    clock.now += 0.002
    assert pacing.pause_s(FIRST, 99) == pytest.approx(INTERVAL_S - 0.002)
    clock.now += 0.002
    assert pacing.pause_s(FIRST, 99) == 0


def test_a_large_batch_lets_one_more_be_folded_while_it_commits(pacing):
    """One, not two: the next but one would only lie in a queue. A small one waits, as a round has to begin at once."""
    pacing.began(first := round_of(100, FIRST))
    assert pacing.pause_s(FIRST, 100) == 0
    assert pacing.pause_s(FIRST, 99) == inf
    assert pacing.pause_s(SECOND, 99) == 0
    pacing.began(round_of(100, FIRST))
    assert pacing.pause_s(FIRST, 100) == inf
    pacing.ended(first)
    assert pacing.pause_s(FIRST, 100) == 0


@pytest.mark.parametrize(
    ("most", "partitions", "events"),
    [(8_000, 0, 8_000), (8_000, 1, 8_000), (8_000, 2, 8_000), (8_000, 4, 4_000), (8_000, 64, 1_000), (100, 64, 100)],
)
def test_partitions_share_what_a_worker_takes_at_once(most, partitions, events):
    """A worker's memory does not grow with its partitions, down to where transactions would cost more than it."""
    pacing = Pacing(most)
    pacing.assigned(64)
    pacing.assigned(partitions)
    assert pacing.batch_events == events
    assert [pacing.is_small(round_of(size, FIRST).batches[0]) for size in (events // 4 - 1, events // 4)] == [
        True,
        False,
    ]


def test_what_was_under_way_before_an_assignment_holds_nothing_back(pacing):
    """Rounds that a rebalance took away are never committed here; a late word of one is harmless."""
    pacing.began(lost := round_of(10, FIRST))
    pacing.assigned(1)
    assert pacing.pause_s(FIRST, 1) == 0
    pacing.ended(lost)
    pacing.began(round_of(10, FIRST))
    pacing.ended(lost)
    assert pacing.pause_s(FIRST, 1) == inf


MIB = 1024 * 1024


def batch_of(size, tp=FIRST, events=1):
    return Round([Batch(tp.topic, tp.partition, 0, events, range(events), size)], ME)


@pytest.mark.parametrize(("partitions", "mib"), [(0, 16), (1, 16), (2, 16), (4, 8), (8, 4), (64, 1), (1_000, 1)])
def test_partitions_share_the_bytes_that_a_worker_takes_at_once(partitions, mib):
    """Events of 250 KiB: a batch ends where its bytes are, not where thousands of them are."""
    pacing = Pacing(8_000)
    pacing.assigned(partitions)
    assert pacing.batch_bytes == mib * MIB
    assert [pacing.is_small(batch_of(size).batches[0]) for size in (mib * MIB // 4 - 1, mib * MIB // 4)] == [
        True,
        False,
    ]
    assert pacing.room(FIRST, 0, 0) == mib * MIB
    assert pacing.room(FIRST, mib * MIB - 7, mib * MIB - 7) == 7
    assert pacing.room(FIRST, mib * MIB + 1, mib * MIB + 1) < 0


def test_a_few_large_events_begin_like_many_small_ones(pacing):
    """They are no round of small ones, whose transaction they would be too large for."""
    pacing.began(batch_of(10))
    assert pacing.pause_s(SECOND, 1, 100) == inf
    assert pacing.pause_s(SECOND, 1, 4 * MIB) == 0


def test_all_partitions_together_have_so_much_in_memory():
    """What is gathered and what is under way; but a partition that has nothing under way is always read."""
    pacing = Pacing(8_000)
    pacing.assigned(64)
    for number in range(95):
        pacing.began(batch_of(MIB, TP("executions", number % 60)))
    assert pacing.room(FIRST, 0, 0) == MIB
    pacing.began(batch_of(MIB // 2, FIRST))
    assert pacing.room(FIRST, 0, 0) == MIB // 2
    assert pacing.room(FIRST, 0, MIB) <= 0
    assert pacing.room(TP("executions", 63), 0, MIB) == MIB


@pytest.mark.parametrize(("partitions", "kib"), [(0, 8_192), (4, 8_192), (8, 4_096), (64, 512), (1_000, 256)])
def test_partitions_share_what_is_fetched(partitions, kib):
    """Every partition's last fetch lies in memory until it is taken."""
    assert fetch_bytes(partitions) == kib * 1024
