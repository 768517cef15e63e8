"""The test kit for catalogues: it folds as the worker does, and gives what subscribers would read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from consolidator.records import decode_change, decode_factors
from models.errors import BadEventError, CatalogueError, Defect
from streams.testing import CatalogueFold
from tests.inputs.workloads import SAMPLE_CATALOGUE, believable, load_catalogue, to_json
from tests.oracle.folds import Partition, records_of

CATALOGUE = """
schema_version = 1
name = "small-business"
version = "7"

[processors.bank_statement]
type = "document"
on_failed_rerun = "keep_previous"

[processors.bank_statement.factors]
f_revenue_monthly_avg = { reducer = "mean", field = "f_revenue_monthly", maximum = 50000 }
f_months_analyzed = { reducer = "count", field = "f_revenue_monthly" }
"""


@pytest.fixture
def fold():
    return CatalogueFold.of_text(CATALOGUE)


def test_a_failed_statement_is_no_month_without_revenue(fold):
    """The example of the documentation: the strategy's first scenario."""
    fold.completed("bank_statement", "january", {"f_revenue_monthly": 10000})
    fold.failed("bank_statement", "february", code="unreadable")
    change = fold.completed("bank_statement", "march", {"f_revenue_monthly": 12000})
    current = fold.current("bank_statement")
    assert current.outcome == change.outcome == "partial"
    assert current.values() == change.values() == {"f_months_analyzed": 2, "f_revenue_monthly_avg": 11000}
    assert [failure.code for failure in current.executions.failures] == ["unreadable"]
    assert current.ruleset.name == "small-business/7"
    assert fold.quality == ()


def test_it_gives_what_a_worker_publishes():
    """Of a whole day with every kind of event: the very changes, and in the end the very current factors."""
    fold, partition = CatalogueFold.of_file(SAMPLE_CATALOGUE), Partition(load_catalogue())
    events = [item for item in believable(3, 20) if isinstance(item, dict)]
    changes = [change for event in events if (change := fold.apply(to_json(event))) is not None]
    partition.take(*records_of(events))
    published = [decode_change(sent.value) for sent in partition.sent if sent.topic == "factor-changes"]
    assert changes == published
    assert {change.outcome for change in changes} >= {"consolidated", "partial", "cleared"}
    current = {sent.key: decode_factors(sent.value) for sent in partition.sent if sent.topic == "factors"}
    assert [fold.current(one.processor, one.application_id) for one in current.values()] == [*current.values()]


def test_a_value_out_of_bounds_counts_for_nothing_and_is_named(fold):
    """What is odd about an event is at hand, whether it changed something or not."""
    fold.completed("bank_statement", "january", {"f_revenue_monthly": 60000})
    assert [(note.issue, note.factor) for note in fold.quality] == [("factor_out_of_bounds", "f_revenue_monthly")]
    assert fold.current("bank_statement").values() == {}
    fold.completed("bank_statement", "february", {"f_revenue_monthly": Decimal("0.10")})
    assert fold.quality == ()
    assert fold.current("bank_statement").values()["f_revenue_monthly_avg"] == Decimal("0.1")


def test_the_order_is_that_of_the_times(fold):
    """An unknown processor's factors are merged, and the later execution wins, whichever comes last."""
    later = datetime(2026, 3, 2, tzinfo=UTC)
    fold.completed("unknown", "second", {"f": "later"}, at=later)
    assert fold.completed("unknown", "first", {"f": "earlier"}, at=later - timedelta(days=1)).changed == ()
    assert fold.current("unknown").values() == {"f": "later"}
    assert fold.current("unknown").processor_type is None


def test_a_rerun_replaces_what_it_names(fold):
    """Where the catalogue keeps the previous execution, a failed rerun takes nothing away."""
    fold.completed("bank_statement", "january", {"f_revenue_monthly": 1})
    fold.failed("bank_statement", "again", supersedes="january")
    assert fold.current("bank_statement").values()["f_months_analyzed"] == 1
    fold.completed("bank_statement", "once more", {"f_revenue_monthly": 3}, supersedes="january")
    assert fold.current("bank_statement").values()["f_revenue_monthly_avg"] == 3


def test_applications_are_apart(fold):
    """Each application has factors of its own, and none before its first event."""
    fold.completed("bank_statement", "january", {"f_revenue_monthly": 1}, application_id="a")
    assert fold.current("bank_statement", "a").application_id == "a"
    assert fold.current("bank_statement") is None


def test_a_copy_changes_nothing(fold):
    """An event that comes twice gives no second change, in whichever form it comes."""
    event = {
        "application_id": "a",
        "execution_id": "x",
        "processor": "p",
        "status": "completed",
        "occurred_at": "2026-03-01T09:00:00Z",
        "output": {"factors": {"f": True, "g": Decimal("1.50")}},
    }
    assert fold.apply(event).values() == {"f": True, "g": Decimal("1.5")}
    assert fold.apply(to_json(event)) is None
    assert fold.current("p", "a").values() == {"f": True, "g": Decimal("1.5")}


def test_what_a_worker_makes_a_dead_letter_of_is_refused(fold):
    """The events of a test are decoded as strictly as those of the topic."""
    with pytest.raises(BadEventError) as caught:
        fold.completed("bank_statement", "", {})
    assert caught.value.defect is Defect.INVALID_FIELD
    with pytest.raises(BadEventError, match="occurred_at"):
        fold.completed("bank_statement", "january", {}, at=datetime(2026, 3, 1))  # noqa: DTZ001 - the point of it
    assert fold.current("bank_statement") is None


def test_a_catalogue_that_cannot_be_used_is_refused(tmp_path):
    """With every problem and its place, as `consolidator catalogue check` does."""
    with pytest.raises(CatalogueError, match="the catalogue: 1 problem"):
        CatalogueFold.of_text(CATALOGUE.replace("mean", "average"))
    with pytest.raises(CatalogueError, match="cannot be read"):
        CatalogueFold.of_file(tmp_path / "none.toml")
