"""Times, statuses and outcomes, as they stand on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from models.counts import Counts, outcome_of
from models.events import MAX_MICROS, MIN_MICROS, Status, micros_of, rfc3339
from models.outcomes import Outcome


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_740_992_400_000_001, "2025-03-03T09:00:00.000001Z"),
        (MIN_MICROS, "0001-01-01T00:00:00.000000Z"),
        (MAX_MICROS, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_written_in_utc_with_six_decimals(micros, text):
    """Texts of times sort like the times, over all the years that there are."""
    assert rfc3339(micros) == text


def test_a_time_with_any_offset_is_counted_from_the_epoch():
    """The same moment in two zones is one number, and it comes back."""
    moment = datetime(2025, 3, 3, 9, 0, 0, 1, tzinfo=UTC)
    assert micros_of(moment) == 1_740_992_400_000_001
    assert micros_of(moment.astimezone(timezone(timedelta(hours=-5, minutes=-30)))) == micros_of(moment)


def test_the_tags_of_statuses_are_fixed():
    """Rows hold these numbers for ever; the topics hold the texts."""
    assert {status.text: int(status) for status in Status} == {
        "requested": 1,
        "started": 2,
        "completed": 3,
        "failed": 4,
        "superseded": 5,
        "cancelled": 6,
    }


@pytest.mark.parametrize(
    ("counts", "opened", "outcome"),
    [
        (Counts(0, 0, 0, 0), 1, Outcome.IN_PROGRESS),
        (Counts(0, 0, 0, 0), 0, Outcome.WITHDRAWN),
        (Counts(2, 2, 0, 0), 1, Outcome.CONSOLIDATED),
        (Counts(3, 2, 1, 2), 0, Outcome.PARTIAL),
        (Counts(2, 0, 2, 0), 1, Outcome.CLEARED),
    ],
)
def test_the_outcome_follows_from_counts(counts, opened, outcome):
    """Active executions decide; open ones matter only where none is active."""
    assert outcome_of(counts, opened) is outcome
