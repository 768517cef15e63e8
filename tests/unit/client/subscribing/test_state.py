"""Whether a subscription may go on from where it was, and when it is taken to stand still."""

import pytest

from consolidator.subscribing.cluster import Described
from consolidator.subscribing.positions import Position
from consolidator.subscribing.state import State, what_happened
from consolidator.subscribing.token import read_token
from consolidator.subscribing.waiting import Deadline
from tests.unit.client.subscribing.records import stamp

DESCRIBED = Described("cluster", "changes-id", "factors-id", 4, retention_ms=1_000)
NOW_MS = 50_000


class FakeCluster:
    """Topics whose partitions have these first offsets and ends."""

    changes = "factor-changes"
    factors = "factors"

    def __init__(self, changes=(0, 10), factors=(0, 10)):
        self._edges = {self.changes: changes, self.factors: factors}

    def edges(self, topic, partitions):
        return dict.fromkeys(partitions, self._edges[topic])


@pytest.mark.parametrize(
    ("cluster", "position", "words"),
    [
        (FakeCluster(), Position(10), None),
        (FakeCluster(), Position(0), None),
        (FakeCluster(), Position(5, factors=10), None),
        (FakeCluster(factors=(7, 10)), Position(5, factors=0), None),
        (FakeCluster(), Position(11), "factor-changes partition 0 ends at 10, before the position 11"),
        (FakeCluster(), Position(5, factors=11), "factors partition 0 ends at 10, before the position 11"),
        (FakeCluster(changes=(6, 10)), Position(5), "factor-changes partition 0 begins at 6, after the position 5"),
        (FakeCluster(changes=(6, 10)), Position(0), "factor-changes partition 0 begins at 6, after the position 0"),
        (FakeCluster(factors=(7, 10)), Position(5, factors=6), "factors partition 0 begins at 7, after the position 6"),
        (FakeCluster(factors=(7, 8)), Position(5), None),
    ],
)
def test_a_position_has_to_be_in_its_log(cluster, position, words):
    """At its end it is; beyond it, or before its beginning, something has happened. A snapshot may begin anywhere."""
    found = what_happened(cluster, DESCRIBED, {0: position}, fresh_ms=NOW_MS, now_ms=NOW_MS)
    assert found is None if words is None else words in str(found)


@pytest.mark.parametrize(("away_ms", "is_good"), [(0, True), (999, True), (1_000, False), (5_000, False)])
def test_an_absence_has_to_be_shorter_than_tombstones_stay(away_ms, is_good):
    """To the millisecond, and never longer."""
    found = what_happened(FakeCluster(), DESCRIBED, {0: Position(1)}, fresh_ms=NOW_MS - away_ms, now_ms=NOW_MS)
    assert (found is None) is is_good
    assert is_good or "longer ago than tombstones stay (delete.retention.ms is 1000)" in str(found)


def test_a_token_has_the_oldest_partitions_time():
    """One partition that lags is what an absence is measured by."""
    standing = State(stamp(), each=False)
    standing.put({0: Position(1), 1: Position(1)}, 100)
    standing.fresh_ms[1] = 900
    assert read_token(standing.frame().token_after(0)).fresh_ms == 100
    standing.drop([0])
    assert read_token(standing.frame().token_after(0)).fresh_ms == 900


def test_the_floor_goes_with_the_position():
    """It is in the token while changes are dropped by it, and no longer."""
    standing = State(stamp(), each=False)
    standing.put({0: Position(5, 3, 7, b"a/x")}, 100)
    assert standing.floors == {0: (7, b"a/x")}
    standing.read_factors({0: 9})
    assert standing.positions[0] == Position(5, 9, 7, b"a/x")
    standing.read_journal({0: 6})
    assert standing.positions[0] == Position(6, -1, 7, b"a/x")
    standing.floors.clear()
    standing.read_journal({0: 8})
    assert standing.positions[0] == Position(8)


def test_a_deadline_passes_only_where_nothing_moves():
    """Whatever moves begins it anew."""
    times = iter([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    deadline = Deadline(2.0, clock=lambda: next(times))
    seen = [deadline.passed({0: standing}) for standing in (1, 1, 2, 2, 2, 2)]
    assert seen == [False, False, False, False, True, True]
