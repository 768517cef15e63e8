"""When a partition's next batch may begin."""

from faust.types import TP

from streams.worker.transport.pacing import Pacing

FIRST, SECOND = TP("executions", 0), TP("executions", 1)


def test_a_small_batch_lets_the_next_one_wait_for_its_commit():
    """What comes meanwhile makes the next one larger; other partitions do not wait."""
    pacing = Pacing(400)
    assert pacing.may_begin(FIRST)
    pacing.began(FIRST, 9, 99)
    assert not pacing.may_begin(FIRST)
    assert pacing.may_begin(SECOND)
    pacing.ended(FIRST, 9)
    assert pacing.may_begin(FIRST)


def test_a_large_batch_lets_one_more_be_folded_while_it_commits():
    """One, not two: the next but one would only lie in a queue."""
    pacing = Pacing(400)
    pacing.began(FIRST, 99, 100)
    assert pacing.may_begin(FIRST)
    pacing.began(FIRST, 199, 100)
    assert not pacing.may_begin(FIRST)
    pacing.ended(FIRST, 99)
    assert pacing.may_begin(FIRST)


def test_what_was_under_way_before_an_assignment_holds_nothing_back():
    """Batches that a rebalance took away are never committed here; a late word of one is harmless."""
    pacing = Pacing(400)
    pacing.began(FIRST, 9, 10)
    pacing.forget()
    assert pacing.may_begin(FIRST)
    pacing.ended(FIRST, 9)
    pacing.began(FIRST, 19, 10)
    pacing.ended(FIRST, 9)
    assert not pacing.may_begin(FIRST)
