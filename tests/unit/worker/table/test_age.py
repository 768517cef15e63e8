"""When a stored database is too old to be brought up to its changelog."""

import pytest

from streams.worker.table.age import max_age_ms, too_old_because

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RETENTION_MS = 30 * DAY_MS
NOW_MS = 1_800_000_000_000
BEHIND = 100
"""Where the changelog ends, for a database that stands far before."""


def verdict(age_ms, *, stored=50, end=BEHIND, retention_ms=RETENTION_MS):
    as_of_ms = None if age_ms is None else NOW_MS - age_ms
    return too_old_because(stored, as_of_ms, end=end, now_ms=NOW_MS, retention_ms=retention_ms)


@pytest.mark.parametrize("age_ms", [0, 1, DAY_MS, 14 * DAY_MS, 15 * DAY_MS - HOUR_MS])
def test_half_of_the_retention_is_made_use_of(age_ms):
    """Less an hour: by as much the clock that wrote the time and the one that reads it may differ."""
    assert verdict(age_ms) is None


@pytest.mark.parametrize("age_ms", [15 * DAY_MS - HOUR_MS + 1, 15 * DAY_MS, 31 * DAY_MS, 4_000 * DAY_MS])
def test_what_is_older_is_rebuilt(age_ms):
    """And it says how old is too old, and by which setting."""
    assert "delete.retention.ms is 2592000000" in verdict(age_ms)


@pytest.mark.parametrize("age_ms", [-1, -HOUR_MS])
def test_an_hour_ahead_is_as_good_as_now(age_ms):
    """A worker's clock that was an hour ahead, and is mended, costs no rebuild."""
    assert verdict(age_ms) is None


def test_a_time_that_is_far_ahead_says_nothing():
    """By how much the clock was wrong when the database was written is not known."""
    assert "a clock was wrong" in verdict(-HOUR_MS - 1)


@pytest.mark.parametrize("end", [51, 52])
def test_nothing_can_be_missing_where_nothing_was_written_since(end):
    """A quiet partition's database is as good after a year: behind its last row there is a marker at most."""
    assert verdict(400 * DAY_MS, end=end) is None
    assert verdict(400 * DAY_MS, end=53) is not None


@pytest.mark.parametrize("end", [51, BEHIND])
def test_a_position_without_a_time_is_old(end):
    """Even where nothing came after it: rows may live again there since its partition last came back."""
    assert "has no time" in verdict(None, end=end)


@pytest.mark.parametrize("retention_ms", [0, 1, HOUR_MS, 2 * HOUR_MS])
def test_a_retention_that_clocks_cannot_measure_trusts_no_database(retention_ms):
    """With less than two hours, clocks that differ by one would let a tombstone be missed."""
    assert max_age_ms(retention_ms) == 0
    assert verdict(1, retention_ms=retention_ms) is not None
    assert verdict(1, retention_ms=retention_ms, end=52) is None
