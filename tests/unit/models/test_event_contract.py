"""The documented event: what its schema can say, and the lengths and times that it cannot."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from models.event_contract import LifecycleEventContract
from models.lengths import MAX_ID_BYTES
from tests.inputs.cases import event
from tests.inputs.workloads import to_json


def documented(**members):
    return LifecycleEventContract.from_json(to_json(event("a", "started", 1) | members))


def test_lengths_are_counted_in_bytes():
    """The schema's maxLength counts characters; the model counts as the decoder does."""
    assert documented(execution_id="é" * (MAX_ID_BYTES // 2)).execution_id
    with pytest.raises(ValidationError, match="at most 512 bytes"):
        documented(execution_id="é" * (MAX_ID_BYTES // 2 + 1))


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00." + "0" * 60 + "Z", 5])
def test_a_time_is_a_short_text(time):
    """As in the decoder."""
    with pytest.raises(ValidationError, match="a text of at most 64 bytes"):
        documented(occurred_at=time)


def test_a_leap_second_is_the_next_second():
    """It is valid RFC 3339, and datetime has none."""
    assert documented(occurred_at="2016-12-31T23:59:60Z").occurred_at == datetime(2017, 1, 1, tzinfo=UTC)


def test_a_number_keeps_its_digits_and_a_float_is_refused():
    """A float may have lost some already."""
    completed = event("a", "completed", 1)
    exact = to_json(completed | {"output": {"factors": {"f_revenue_monthly": "DIGITS"}}})
    found = LifecycleEventContract.from_json(exact.replace(b'"DIGITS"', b"12345678901234567.12"))
    assert found.output is not None
    assert found.output.factors["f_revenue_monthly"] == Decimal("12345678901234567.12")
    with pytest.raises(ValidationError, match="a float may have lost digits"):
        LifecycleEventContract.model_validate(completed | {"output": {"factors": {"f_revenue_monthly": 0.1}}})
