"""Ages of events, counted a batch at a time."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.health.figures import AGE_BOUNDS_S
from streams.worker.measuring.rounds import RoundFigures
from tests.oracle.folds import Record

NOW_MS = 1_700_000_000_000


def record(age_ms):
    return Record(0, b"key", b"value", NOW_MS - age_ms)


@given(st.lists(st.integers(0, 3_000_000), max_size=50))
def test_a_batch_is_counted_as_if_record_by_record(ages_ms):
    """The broker's times rise within a batch; each bucket has the records that are as old as its bound or younger."""
    ages_ms = sorted(ages_ms, reverse=True)
    figures = RoundFigures()
    figures.committed([record(age) for age in ages_ms], NOW_MS)
    expected = [0] * (len(AGE_BOUNDS_S) + 1)
    for age in ages_ms:
        expected[bisect_left(AGE_BOUNDS_S, age / 1000)] += 1
    assert figures.event_age.counts == expected
    assert figures.event_age.total == pytest.approx(sum(ages_ms) / 1000)


def test_a_clock_that_is_behind_the_brokers_gives_no_negative_age():
    """The record is of the future: its age counts as the smallest, and the sum does not fall."""
    figures = RoundFigures()
    figures.committed([record(-5_000)], NOW_MS)
    assert figures.event_age.counts[0] == 1
    assert figures.event_age.total == 0


def test_a_batch_without_records_counts_nothing():
    """Offsets of markers alone were committed."""
    figures = RoundFigures()
    figures.committed([], NOW_MS)
    assert sum(figures.event_age.counts) == 0
