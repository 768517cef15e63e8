"""The demonstration's invented day and its scenarios: believable, seeded, and right."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from models.counts import Counts
from models.errors import BadEventError, Defect
from models.events import Position
from streams.core.pair_summary import PairSummary
from streams.core.rules import Rules
from streams.demo.day import OPENING, believable_day
from streams.demo.processors import PROCESSORS
from streams.demo.publication import read_arrivals, replayed
from streams.demo.report import ScenarioResult
from streams.demo.scenarios import SCENARIOS
from streams.replay.in_memory import ReplayFold
from streams.rulesets.catalogue_file import load_catalogue
from tests.inputs.workloads import load_catalogue as oracle_catalogue
from tests.inputs.workloads import numbered, parse_json
from tests.oracle.expected import expected
from topics.records.decoding import decode_event

MAX_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def day():
    return believable_day(1, 120)


@pytest.fixture(scope="module")
def readable(day):
    return read_arrivals(day.arrivals, max_event_bytes=MAX_BYTES)


@pytest.fixture(scope="module")
def events(readable):
    """The day's lifecycle events as plain JSON objects, in the order of arrival."""
    return [parse_json(one.arrival.value) for one in readable if one.event is not None]


def fold():
    return ReplayFold(Rules(load_catalogue(None)))


def test_the_same_seed_is_the_same_day():
    """The bytes are a function of seed and size."""
    assert believable_day(7, 5) == believable_day(7, 5)
    assert believable_day(7, 5).arrivals != believable_day(8, 5).arrivals


@pytest.mark.parametrize("applications", [1, 120])
def test_exactly_two_records_cannot_be_read(applications):
    """One record was cut off, one has a status that nobody knows; all others are lifecycle events."""
    defects = []
    for arrival in believable_day(3, applications).arrivals:
        try:
            decode_event(arrival.value, max_bytes=MAX_BYTES)
        except BadEventError as error:
            defects.append(error.defect)
    assert sorted(defects) == [Defect.INVALID_JSON, Defect.UNKNOWN_STATUS]


def test_everything_that_goes_wrong_on_such_a_day_does(day, events):
    """Failures, retries, reruns, withdrawals, late and repeated events, a partner's: each of them at least once."""
    assert all(
        day.told[name] > 0
        for name in ("failures", "retries", "reruns", "cancelled", "superseded", "late", "twice", "from_partner")
    )
    assert {event["status"] for event in events} == {
        "requested",
        "started",
        "completed",
        "failed",
        "superseded",
        "cancelled",
    }
    assert any("supersedes" in event for event in events)
    outcomes = {row["outcome"] for row in expected(oracle_catalogue(), numbered(events), changes=False).replay_rows()}
    assert outcomes >= {"consolidated", "partial", "cleared", "withdrawn"}


def test_the_processors_are_the_catalogues_and_one_that_it_does_not_know(events):
    """Every processor of the sample catalogue is at work, and one that has to be merged."""
    assert {event["processor"] for event in events} == set(PROCESSORS)
    assert set(PROCESSORS) - set(load_catalogue(None).processors) == {"fraud_screening"}
    assert set(load_catalogue(None).processors) <= set(PROCESSORS)


def test_every_factor_of_the_catalogue_comes_out(readable):
    """What the processors find is what the catalogue reads: no factor stays absent all day."""
    found = {}
    for summary in replayed(readable, fold()).values():
        found.setdefault(summary.processor, set()).update(summary.factors)
    assert {name: found[name] for name in load_catalogue(None).processors} == {
        name: set(rule.factors) for name, rule in load_catalogue(None).processors.items()
    }


def test_events_are_late_and_come_twice(day, events):
    """The order of arrival is not that of occurrence, and some records are there a second time, byte for byte."""
    times = [event["occurred_at"] for event in events]
    assert any(later < earlier for earlier, later in pairwise(times))
    assert len(day.arrivals) - len(set(day.arrivals)) == day.told["twice"]


def test_the_partner_knows_nothing_of_our_keys(day):
    """Its records carry the application's id as key and no event id; all others have an event id of their own."""
    partners = [arrival for arrival in day.arrivals if arrival.key is not None]
    assert {arrival.key for arrival in partners} == {b"app-0001", b"app-0101"}
    assert len(partners) == day.told["from_partner"] + 2
    assert all(b"event_id" not in arrival.value for arrival in partners)
    assert all(b'"event_id":"' in arrival.value for arrival in day.arrivals if arrival.key is None)


def test_the_day_is_one_day_in_the_past(events):
    """Nothing lies in the future, where it would be a dead letter, and nothing long before the opening."""
    times = [datetime.fromisoformat(event["occurred_at"]) for event in events]
    assert min(times) >= OPENING
    assert max(times) < OPENING + timedelta(days=2) < datetime.now(UTC)


def test_amounts_are_written_digit_by_digit(readable):
    """Money has cents and no float's exponent or tail."""
    amounts = re.findall(
        rb'"f_(?:revenue_monthly|gross_receipts)":([^,}]*)', b"".join(a.arrival.value for a in readable)
    )
    assert amounts
    assert all(re.fullmatch(rb"[0-9]+\.[0-9]{2}", amount) for amount in amounts)


def test_the_day_folds_as_the_oracle_says(readable, events):
    """The replay with which the demonstration compares the worker agrees with the independent oracle."""
    rows = expected(oracle_catalogue(), numbered(events), changes=False).replay_rows()
    summaries = replayed(readable, fold())
    assert {(row["application_id"], row["processor"]): (row["outcome"], row["factors"]) for row in rows} == {
        key: (one.outcome, {name: parse_json(text) for name, text in one.factors.items()})
        for key, one in summaries.items()
    }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.application_id for scenario in SCENARIOS])
def test_a_scenario_folds_to_its_expected_numbers(scenario):
    """The mission's events give the mission's numbers, and the result is called right."""
    folded = fold()
    for line in scenario.lines():
        event = decode_event(line, max_bytes=MAX_BYTES)
        folded.apply(event, Position("executions", 0, 0))
    [summary] = folded.summaries()
    assert ScenarioResult(scenario, summary).is_right


def test_the_expected_numbers_are_the_missions():
    """Eleven thousand over two months, nothing, two of two."""
    assert [(scenario.outcome, dict(scenario.factors)) for scenario in SCENARIOS] == [
        ("partial", {"f_revenue_monthly_avg": "11000", "f_months_analyzed": "2"}),
        ("cleared", {}),
        ("partial", {"f_verified_licenses_count": "2", "f_total_licenses_processed": "2"}),
    ]


@pytest.mark.parametrize(
    "actual",
    [
        None,
        ("partial", {}),
        ("consolidated", {"f_months_analyzed": "2", "f_revenue_monthly_avg": "11000"}),
        ("partial", {"f_months_analyzed": "3", "f_revenue_monthly_avg": "11000"}),
        ("partial", {"f_months_analyzed": "2", "f_revenue_monthly_avg": "11000.00"}),
        ("partial", {"f_months_analyzed": "2", "f_revenue_monthly_avg": "11000", "f_more": "1"}),
    ],
)
def test_any_other_number_is_wrong(actual):
    """Nothing at all, another outcome, another number, another spelling or a factor too many is not right."""
    scenario = SCENARIOS[0]
    summary = actual and PairSummary(
        scenario.application_id, scenario.processor, "document", *actual, Counts(3, 2, 1, 2)
    )
    assert not ScenarioResult(scenario, summary).is_right
