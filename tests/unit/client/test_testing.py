"""The test kit for subscribers: its samples are what the worker publishes, and its source what Kafka would give."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from consolidator import (
    CaughtUp,
    Current,
    CurrentFactors,
    Erased,
    SnapshotEnd,
    TokenError,
    decode_change,
    decode_factors,
    parse_event_key,
    partition_of,
)
from consolidator.records import SourcePlace
from consolidator.testing import SampleSource, encode, sample_change, sample_factors
from models.outcomes import Outcome

SCHEMAS = Path(__file__).parents[3] / "topics" / "schemas"
OUTCOMES = [outcome for outcome in Outcome if outcome is not Outcome.NOT_ATTEMPTED]


def validate(name, raw):
    for role in ("accepted", "produced"):
        schema = json.loads((SCHEMAS / f"{name}.{role}.json").read_text(encoding="utf-8"))
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(raw))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_samples_are_what_the_schemas_describe(outcome):
    """Of every outcome, as value and as bytes, and equal after both."""
    change, current = sample_change(outcome=outcome), sample_factors(outcome=outcome)
    validate("factor-change", encode(change))
    validate("factors", encode(current))
    assert decode_change(encode(change)) == change
    assert decode_factors(encode(current)) == current
    assert CurrentFactors(*(getattr(change, name) for name in CurrentFactors.__struct_fields__)) == current


def test_a_change_follows_what_was_before():
    """What differs, the outcome before and the place follow from the change before."""
    first = sample_change(factors={"a": 1, "b": "x", "c": True})
    second = sample_change(outcome="partial", factors={"b": Decimal("0.5"), "c": True, "d": 2}, before=first)
    assert [(one.factor, one.op) for one in first.changed] == [("a", "set"), ("b", "set"), ("c", "set")]
    assert [(one.factor, one.op) for one in second.changed] == [("a", "cleared"), ("b", "updated"), ("d", "set")]
    assert (first.previous_outcome, second.previous_outcome) == ("not_attempted", "consolidated")
    assert second.version > first.version
    assert second.occurred_at > first.occurred_at
    assert second.id != first.id
    assert second.values() == {"b": Decimal("0.5"), "c": True, "d": 2}
    assert second.cause.status == "failed"
    assert second.executions.failures[0].execution_id == second.cause.execution_id


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"outcome": "unknown"}, ValueError, "no outcome 'unknown': choose one of in_progress"),
        ({"outcome": "cleared", "factors": {"f": 1}}, ValueError, "no factors where the outcome is cleared"),
        ({"factors": {"f": 0.1}}, TypeError, "factor 'f' is a float"),
        ({"factors": {"f": None}}, TypeError, "factor 'f' is a NoneType"),
        ({"factors": {"f": Decimal("NaN")}}, ValueError, "factor 'f' is not finite"),
    ],
)
def test_a_sample_that_no_worker_publishes_is_refused(arguments, error, words):
    """A test of a subscriber cannot rest on what never comes."""
    with pytest.raises(error, match=words):
        sample_change(**arguments)


def test_a_source_has_both_topics_as_kafka_has_them():
    """Keys, partitions and offsets are those of the topics; a change comes with its current factors."""
    source = SampleSource(partitions=2)
    applications = [f"a/{number}" for number in range(9)]
    for application in applications:
        first = sample_change(application)
        source.publish(first)
        source.publish(sample_change(application, outcome="cleared", before=first))
    changes, factors = list(source), list(source.factors)
    for partition in range(2):
        for records in (changes, factors):
            offsets = [record.offset for record in records if record.partition == partition]
            assert offsets == list(range(len(offsets)))
    for change, current in zip(changes, factors, strict=True):
        value, after = decode_change(change.value), decode_factors(current.value)
        assert (change.topic, current.topic) == ("factor-changes", "factors")
        assert change.partition == current.partition == partition_of(value.application_id, 2)
        assert parse_event_key(change.key) == (value.application_id, value.id)
        assert parse_event_key(current.key) == (value.application_id, value.processor)
        assert (after.version, after.values(), after.outcome) == (value.version, value.values(), value.outcome)
    assert len({change.key for change in changes}) == 18


def test_an_erasure_is_a_tombstone_for_each_key_of_its_application():
    """Once each, in both topics; what is another application's stays, even where its id begins alike."""
    source = SampleSource()
    for application in ("app", "app/1", "ap"):
        first = sample_change(application)
        source.publish(first)
        source.publish(sample_change(application, before=first, factors={"f": 2}))
    source.erase("app")
    source.erase("app")
    source.erase("unknown")
    for records, expected in ((list(source), 2), (list(source.factors), 1)):
        gone = [record for record in records if record.value is None]
        assert len(gone) == expected
        assert {parse_event_key(record.key)[0] for record in gone} == {"app"}
        assert {record.key for record in gone} <= {record.key for record in records if record.value is not None}


def test_a_subscriber_is_tried_as_the_page_shows():
    """A map of the latest factors, kept by whoever reads the changes."""
    source = SampleSource()
    first = sample_change("app-1", factors={"f_revenue_monthly_avg": 11000})
    source.publish(first)
    source.publish(sample_change("app-1", outcome="cleared", before=first))
    seen = [None if record.value is None else decode_change(record.value).values() for record in source]
    assert seen == [{"f_revenue_monthly_avg": 11000}, {}]


def test_a_subscription_yields_a_snapshot_and_then_what_is_published():
    """A snapshot has older values and what was erased first, as before compaction; a token goes on after its item."""
    source = SampleSource()
    first = sample_change("app-1", factors={"f_revenue_monthly_avg": 11000})
    for change in (first, sample_change("app-1", outcome="cleared", before=first), sample_change("app-2")):
        source.publish(change)
    source.erase("app-2")
    subscription = source.subscribe()
    older, current, other, gone, end, caught_up = subscription.pending()
    assert (older.factors.values(), other.factors.application_id) == ({"f_revenue_monthly_avg": 11000}, "app-2")
    assert (current.factors.application_id, current.factors.outcome, current.factors.values()) == (
        "app-1",
        "cleared",
        {},
    )
    assert (gone.application_id, gone.processor, gone.change_id) == ("app-2", "bank_statement", None)
    assert (type(end), type(caught_up)) == (SnapshotEnd, CaughtUp)
    assert list(subscription.pending()) == []
    source.publish(sample_change("app-3"))
    source.erase("app-1")
    [changed, *erased] = subscription.pending()
    assert changed.change.application_id == "app-3"
    assert [each.application_id for each in erased] == ["app-1", "app-1"]
    assert {each.change_id for each in erased} == {first.id, sample_change("app-1", outcome="cleared", before=first).id}
    again = list(source.subscribe(changed.token).pending())
    assert [type(each) for each in again] == [Erased, Erased, CaughtUp]
    again = [type(each) for each in source.subscribe(current.token).pending()]
    assert again == [Current, Current, Current, Erased, Current, Erased, SnapshotEnd, CaughtUp]


def test_a_subscription_begins_anew():
    """First the reason, then a snapshot."""
    source = SampleSource()
    source.publish(sample_change("app-1"))
    subscription = source.subscribe()
    assert len(list(subscription.pending())) == 3
    subscription.refetch("away for too long")
    refetch, current, *_ = subscription.pending()
    assert (refetch.reason, current.factors.application_id) == ("away for too long", "app-1")


@pytest.mark.parametrize("token", ["", "sample: after change 2", "sample: after change x", "other"])
def test_a_token_of_something_else_is_refused(token):
    """By name, as the real one does."""
    source = SampleSource()
    source.publish(sample_change("app-1"))
    with pytest.raises(TokenError, match="is no token"):
        source.subscribe(token)


def test_a_sample_takes_any_other_member():
    """Samples are values: what no argument is for is replaced."""
    change = msgspec.structs.replace(sample_change(version=SourcePlace(3, 9)), processor_type=None)
    validate("factor-change", encode(change))
    assert (change.version.partition, change.processor_type) == (3, None)
