"""The why of factors: rule, values, calculation, failures, and what was rejected."""

import json
from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec
import pytest

from consolidator.keys import parse_event_key
from models.catalogue import ProcessorType
from streams.audit.history.as_of import known_as_of, true_as_of
from streams.audit.history.explanation import explain
from streams.cli.output.explanation import explanation_lines
from streams.core.rules import Rules
from streams.rulesets.rule_book import RuleBook
from tests.inputs.cases import event, failed, ok, one_factor
from tests.inputs.kept_logs import application_log, kept_log
from tests.inputs.workloads import Rates, believable, load_catalogue, to_json
from tests.oracle.expected import Tombstone
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, topics_of
from topics.records.record import Record

PARTITIONS = 4
TOPICS = topics_of(PARTITIONS)
SAMPLE = load_catalogue()
LATER = 4_000_000_000_000_000
DIGEST_CHARS = 64


def told(content, items, *, true=False, raw=()):
    """The only processor of application ``app``: how it is explained, as JSON reads it, and in lines."""
    catalogue = catalogue_of(content)
    book = RuleBook(Rules(catalogue))
    log = kept_log(items, partitions=PARTITIONS, holes=0.0)
    log.records.extend(raw)
    log = application_log(log, "app", 10**9)
    answer = (
        true_as_of(log, TOPICS, book, LATER, max_event_bytes=MAX_EVENT_BYTES)
        if true
        else known_as_of(log, TOPICS, book, max_event_bytes=MAX_EVENT_BYTES)
    )
    ((name, one),) = answer.processors.items()
    explanation = explain(one, answer, book.of_row(one.pair.row))
    lines = list(explanation_lines(name, one.pair.tally.outcome.value, explanation))
    return json.loads(msgspec.json.encode(explanation), parse_float=Decimal), lines


def bank(execution, second, revenue, **more):
    return ok(execution, second, {"f_revenue_monthly": revenue}, processor="bank_statement", **more)


@pytest.mark.parametrize("true", [False, True])
def test_a_mean_is_told_with_its_rule_its_values_their_times_and_the_calculation(true):
    """Who gave which value when, what is done with them, in which unit and how rounded, and what comes out."""
    found, lines = told(
        SAMPLE, [bank("e1", 1, 10000), failed("e2", 2, processor="bank_statement"), bank("e3", 3, 12000)], true=true
    )
    mean = next(one for one in found["factors"] if one["factor"] == "f_revenue_monthly_avg")
    assert mean == {
        "factor": "f_revenue_monthly_avg",
        "value": 11000,
        "unit": "USD",
        "reducer": "mean",
        "field": "f_revenue_monthly",
        "scale": 2,
        "rule": "mean of f_revenue_monthly, rounded half to even to 2 decimal places",
        "values": 2,
        "inputs": [
            {"execution_id": "e1", "occurred_at": "2025-03-03T09:00:01.000000Z", "value": 10000},
            {"execution_id": "e3", "occurred_at": "2025-03-03T09:00:03.000000Z", "value": 12000},
        ],
        "calculation": "(10000 + 12000) / 2 = 11000",
    }
    assert found["failures"] == [
        {"execution_id": "e2", "attempt": 1, "code": "TIMEOUT", "occurred_at": "2025-03-03T09:00:02.000000Z"}
    ]
    assert [(one["execution_id"], one["values"]) for one in found["contributions"]] == [
        ("e1", {"f_revenue_monthly": 10000}),
        ("e3", {"f_revenue_monthly": 12000}),
    ]
    assert [one["offset"] for one in found["contributions"]] == [1, 3]
    text = "\n".join(lines)
    for words in (
        "f_revenue_monthly_avg = 11000 USD",
        "e1 at 2025-03-03T09:00:01.000000Z: 10000",
        "(10000 + 12000) / 2 = 11000 USD",
        "e2 (attempt 1: TIMEOUT) at 2025-03-03T09:00:02.000000Z",
        "number of 2 values = 2 months",
    ):
        assert words in text


def test_the_ruleset_is_told_by_name_version_and_digest():
    """Two rulesets that share a name can be told apart."""
    found, lines = told(SAMPLE, [bank("e1", 1, 5)])
    catalogue = catalogue_of(SAMPLE)
    assert found["ruleset"] == {
        "name": catalogue.name,
        "version": catalogue.version,
        "digest": catalogue.digest,
    }
    assert f"  ruleset {catalogue.name} version {catalogue.version}, digest {catalogue.digest}" in lines
    assert len(catalogue.digest) == DIGEST_CHARS


def test_what_was_rejected_is_told_with_the_reason():
    """Nulls, wrong types, values out of bounds and required ones that are missing: which, of whom, and why."""
    content = {
        "processors": {
            "p": {
                "type": "document",
                "factors": {
                    "f": {"reducer": "sum", "field": "x", "minimum": 0, "maximum": 9, "required": True},
                    "g": {"reducer": "count_true", "field": "b"},
                },
            }
        }
    }
    found, lines = told(
        content,
        [
            ok("e1", 1, {"x": 5, "b": "yes"}),
            ok("e2", 2, {"x": -5, "unused": 7}),
            ok("e3", 3, {"x": None, "b": True}),
            failed("e4", 4, output={"factors": {"x": 1}}),
        ],
    )
    reasons = {
        (one["execution_id"], one["field"], one["issue"]): (one["value"], one["reason"]) for one in found["rejected"]
    }
    assert reasons == {
        ("e1", "b", "factor_wrong_type"): ("yes", "it must be a boolean"),
        ("e2", "x", "factor_out_of_bounds"): (-5, "it must be ≥ 0 and ≤ 9"),
        ("e2", "unused", "not_read"): (7, "no factor of the ruleset reads this field"),
        ("e3", "x", "factor_null"): (None, "null counts as not given"),
        ("e3", "x", "required_factor_missing"): (None, "the ruleset requires it, and it is missing"),
        ("e4", None, "output_ignored"): (None, "an event with status failed has no output"),
    }
    assert any(
        "x = -5 of e2 at 2025-03-03T09:00:02.000000Z: factor_out_of_bounds, it must be ≥ 0 and ≤ 9" in line
        for line in lines
    )
    assert "sum of x, accepted where ≥ 0 and ≤ 9" in next(
        one["rule"] for one in found["factors"] if one["factor"] == "f"
    )


def test_what_does_not_count_is_told_with_the_reason():
    """Superseded, cancelled, still running, or completed with nothing."""
    found, _ = told(
        one_factor("sum"),
        [
            ok("e1", 1),
            ok("e2", 2, supersedes="e1"),
            ok("e3", 3),
            event("e3", "cancelled", 4),
            event("e4", "started", 5),
            ok("e5", 6, {}),
        ],
    )
    assert {one["execution_id"]: one["reason"] for one in found["left_out"]} == {
        "e1": "superseded by e2",
        "e3": "cancelled",
        "e4": "it has not ended",
        "e5": "it completed without an accepted value",
    }
    assert [one["execution_id"] for one in found["contributions"]] == ["e2"]


def test_dead_letters_of_the_application_are_told():
    """A record that nobody could read stands beside what could be."""
    raw = kept_log([ok("bad", 1)], partitions=PARTITIONS, holes=0.0).records[0]
    bad = Record(raw.topic, raw.partition, 50, raw.timestamp_ms, b"app/bad", to_json(event("e9", "done", 3)), ())
    found, lines = told(one_factor("sum"), [ok("e1", 1)], raw=[bad])
    ((one),) = found["refused"]
    assert (one["offset"], one["reason"].split(":")[0]) == (50, "unknown_status")
    assert any("offset 50: unknown_status" in line for line in lines)


def test_an_erased_value_is_not_told():
    """After a tombstone no list has the event any more."""
    first = ok("e1", 1, {"x": 777})
    found, lines = told(one_factor("sum"), [first, ok("e2", 2, {"x": 5}), Tombstone("app", first["event_id"])])
    assert "777" not in json.dumps(found, default=str) + "\n".join(lines)


def test_foreign_text_cannot_steer_the_terminal():
    """Names and values with escape sequences are printed as escapes."""
    _, lines = told({"processors": {}}, [ok("e\x1b[2J", 1, {"x\u202e": "v\x1b"})])
    assert not {"\x1b", "\u202e"} & set("".join(lines))


def test_long_lists_are_cut_and_say_so():
    """The latest 50 of each; the number and the sum of all values stay."""
    found, lines = told(one_factor("sum"), [ok(f"e{number:03d}", number, {"x": number}) for number in range(120)])
    (factor,) = found["factors"]
    assert (factor["values"], len(factor["inputs"]), found["truncated"]) == (120, 50, True)
    assert factor["calculation"] == "7140 (the sum of 120 values) = 7140"
    assert "  (the latest 50 of each)" in lines


def test_a_processor_that_the_ruleset_does_not_declare_is_merged():
    """Each factor is that of the latest execution that has it."""
    found, _ = told({"processors": {}}, [ok("e1", 1, {"x": 1, "y": 2}), ok("e2", 2, {"x": 3})])
    told_factors = {one["factor"]: (one["value"], one["calculation"], one["reducer"]) for one in found["factors"]}
    assert told_factors == {"x": (3, "3 of e2, the latest = 3", None), "y": (2, "2 of e1, the latest = 2", None)}


@pytest.mark.slow
def test_every_factor_follows_from_the_values_that_are_told():
    """For every factor of 150 applications: its listed values, reduced by exact decimals, give it."""
    catalogue = catalogue_of(SAMPLE)
    book = RuleBook(Rules(catalogue))
    log = kept_log(believable(901, 150, rates=Rates(failure=0.25, erased=0.03)), partitions=PARTITIONS)
    names = sorted({parse_event_key(record.key)[0] for record in log.records})
    seen = Counter()
    for name in names:
        answer = known_as_of(application_log(log, name, 10**9), TOPICS, book, max_event_bytes=MAX_EVENT_BYTES)
        for processor, one in answer.processors.items():
            found = json.loads(
                msgspec.json.encode(explain(one, answer, book.of_row(one.pair.row))), parse_float=Decimal
            )
            declared = catalogue.processors.get(processor)
            tally = one.pair.tally
            assert {each["factor"] for each in found["factors"] if each["value"] is not None} == set(tally.factors)
            assert [each["execution_id"] for each in found["failures"]] == [each[1] for each in tally.failures]
            for each in found["factors"]:
                values = [given["value"] for given in each["inputs"]]
                if not values:
                    assert each["value"] is None
                    continue
                if declared is not None and declared.type is ProcessorType.APPLICATION:
                    assert len(values) == 1
                assert each["value"] == reduced(each, values), each
                seen[each["reducer"]] += 1
    assert {"mean", "count", "latest", "count_true", None} <= set(seen)


def reduced(factor, values):
    exact = {
        "sum": sum,
        "mean": lambda numbers: sum(map(Decimal, numbers)) / len(numbers),
        "min": min,
        "max": max,
        "count": len,
        "distinct_count": lambda given: len({json.dumps(value, default=str) for value in given}),
        "count_true": lambda given: given.count(True),
        "all_true": all,
        "any_true": any,
        "earliest": lambda given: given[0],
        "latest": lambda given: given[-1],
        None: lambda given: given[-1],
    }[factor["reducer"]](values)
    if factor["scale"] is None or isinstance(exact, bool | str):
        return exact
    return Decimal(exact).quantize(Decimal(1).scaleb(-factor["scale"]), ROUND_HALF_EVEN)
