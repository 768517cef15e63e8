"""Times of events: what RFC 3339 leaves open is decided, and what is no time is refused."""

from datetime import UTC, datetime

import pytest

from models.errors import BadEventError, Defect
from tests.inputs.one_event import ABSENT, LIMIT, NINE, message, raw_of, read, refusal
from topics.records.decoding import FAR_FUTURE_MICROS, decode_event


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-03T09:00:00",
        "2025-03-03 09:00:00Z",
        "2025-03-03",
        "2025-03-03T09:00Z",
        "2025-03-03T090000Z",
        "2025-W10-1T09:00:00Z",
        "2025-03-03T09:00:00,5Z",
        "2025-03-03T09:00:00.Z",
        "2025-03-03T09:00:00+0100",
        "2025-03-03T09:00:00+24:00",
        "2025-03-03T09:00:00+05:99",
        "2025-02-29T09:00:00Z",
        "2025-13-01T09:00:00Z",
        "2025-03-03T24:00:00Z",
        "2025-03-03T09:60:00Z",
        "2025-03-03T09:00:60Z",
        "2016-12-31T23:59:61Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-30T23:59:60Z",
        "2016-06-31T23:59:60Z",
        "2016-09-30T23:59:60Z",
        "2017-01-01T00:00:60Z",
        "1971-12-31T23:59:60Z",
        "9999-12-31T23:59:60Z",
        "2025-03-03T24:00:00.5Z",
        "0000-03-03T09:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "\N{FULLWIDTH DIGIT TWO}025-03-03T09:00:00Z",
        "yesterday",
    ],
)
def test_a_time_that_is_none_is_refused(text):
    """A time needs an offset and has to exist, in the years 1 to 9999 in UTC."""
    assert refusal(occurred_at=text) is Defect.INVALID_TIME


@pytest.mark.parametrize("value", [0, True, [], 1740992400])
def test_a_time_is_a_text(value):
    """Neither a number of seconds nor anything else stands for a time."""
    assert refusal(occurred_at=value) is Defect.INVALID_FIELD


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2025-03-03T09:00:00Z", NINE),
        ("2025-03-03t09:00:00z", NINE),
        ("2025-03-03T09:00:00.000001Z", NINE + 1),
        ("2025-03-03T09:00:00.5Z", NINE + 500_000),
        ("2025-03-03T09:00:00.9999999Z", NINE + 999_999),
        ("2025-03-03T03:30:00-05:30", NINE),
        ("2025-03-03T09:00:00-00:00", NINE),
        ("2025-03-03T09:00:00.000000999999999999999999999999999999999999Z", NINE),
        ("2025-03-02T23:00:00-10:00", NINE),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_a_time_is_stored_in_utc_microseconds(text, micros):
    """Every writing of RFC 3339 is read; what is finer than a microsecond is cut off."""
    assert read(occurred_at=text).occurred_at == micros


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("1972-06-30T23:59:60Z", datetime(1972, 7, 1, tzinfo=UTC)),
        ("2015-06-30T23:59:60Z", datetime(2015, 7, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31t23:59:60z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.000000Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.250000Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60.9999999Z", datetime(2017, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)),
        ("2016-12-31T15:59:60-08:00", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T08:59:60+09:00", datetime(2017, 1, 1, tzinfo=UTC)),
        # No leap second so far: a rule decides and not a table, so that the verdict is the same for ever.
        ("2031-06-30T23:59:60Z", datetime(2031, 7, 1, tzinfo=UTC)),
    ],
)
def test_a_leap_second_is_the_instant_that_posix_gives_it(text, following):
    """23:59:60 in UTC, at the end of a June or December from 1972 on, is 00:00:00 of the next day."""
    assert read(occurred_at=text).occurred_at == round(following.timestamp() * 1_000_000)
    assert read(occurred_at=text, event_id=ABSENT) == read(occurred_at=following.isoformat(), event_id=ABSENT)


def test_a_second_that_cannot_be_a_leap_second_is_called_so():
    """The message says where a leap second can be."""
    assert "second 60: only the last minute of June or December in UTC" in message(occurred_at="2025-03-03T09:00:60Z")


def test_the_far_future_is_more_than_a_day_after_the_records_own_time():
    """Exactly 24 hours ahead is a wrong clock, a microsecond more is refused; a file has no time to compare with."""

    def at(recorded_at):
        return decode_event(raw_of(), max_bytes=LIMIT, recorded_at=recorded_at)

    assert at(NINE - FAR_FUTURE_MICROS).occurred_at == NINE
    with pytest.raises(BadEventError) as caught:
        at(NINE - FAR_FUTURE_MICROS - 1)
    assert caught.value.defect is Defect.FAR_FUTURE
    assert at(None).occurred_at == NINE


@pytest.mark.parametrize("length", [65, 5_000])
def test_a_time_has_a_length(length):
    """Its decimals are cut off anyway."""
    text = "2025-03-03T09:00:00." + "0" * (length - 21) + "Z"
    assert read(occurred_at=text.replace("0" * (length - 21), "0" * 43)).occurred_at == NINE
    assert refusal(occurred_at=text) is Defect.TOO_LONG
