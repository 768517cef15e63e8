"""Times, days and time zones as people write them."""

from datetime import UTC, date, timedelta, timezone

import pytest

from models.events import rfc3339
from topics.reading.positions import end_of_day, offsets_text, parse_day, parse_moment, parse_start, parse_timezone


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        ("2026-03-01", "UTC", "2026-03-01T23:59:59.999999Z"),
        ("2026-03-01", "+01:00", "2026-03-01T22:59:59.999999Z"),
        ("2026-03-29", "Europe/Berlin", "2026-03-29T21:59:59.999999Z"),
        ("2026-10-25", "Europe/Berlin", "2026-10-25T22:59:59.999999Z"),
        ("2026-12-31", "America/New_York", "2027-01-01T04:59:59.999999Z"),
    ],
)
def test_a_day_ends_at_its_own_midnight(day, zone, end):
    """In its time zone, on the days when clocks are changed as well."""
    assert rfc3339(end_of_day(parse_day(day), parse_timezone(zone))) == end


@pytest.mark.parametrize(
    "text", ["", "Nowhere/Land", "../../etc/passwd", "/etc/passwd", "+1", "+25:00", "\0", "Berlin"]
)
def test_an_unknown_time_zone_is_refused(text):
    """With examples of what is possible."""
    with pytest.raises(ValueError, match="Europe/Berlin"):
        parse_timezone(text)


def test_offsets_and_utc_need_no_data():
    """They are time zones as well."""
    assert parse_timezone("UTC") is UTC
    assert parse_timezone("-05:30") == timezone(-timedelta(hours=5, minutes=30))


def test_a_day_that_is_none_is_refused():
    """A date that the calendar does not have, and one whose end no time can name."""
    assert parse_day("2026-03-01T00:00:00Z") is None
    with pytest.raises(ValueError, match="is no date"):
        parse_day("2026-02-30")
    with pytest.raises(ValueError, match="9999"):
        end_of_day(date(9999, 12, 31), UTC)


@pytest.mark.parametrize("parse", [parse_moment, parse_start])
def test_a_bare_date_is_no_time(parse):
    """The message says what is missing."""
    with pytest.raises(ValueError, match="a time of day and the offset from UTC are needed"):
        parse("2026-03-01")


def test_offsets_say_that_their_end_is_exclusive():
    """As Kafka's end offsets are."""
    assert offsets_text(0, 13) == "offsets 0 to 13 (without 13)"
