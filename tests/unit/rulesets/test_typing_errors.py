"""What publish warns of: legal events that lose something without a word."""

import pytest

from streams.rulesets.typing_errors import typing_errors
from tests.inputs.cases import event, failed, ok
from tests.inputs.workloads import Rates, believable, load_catalogue
from tests.oracle.folds import catalogue_of, decoded

CATALOGUE = catalogue_of(
    {
        "processors": {
            "pay_stub": {
                "type": "document",
                "factors": {
                    "total": {"reducer": "sum", "field": "f_income_monthly"},
                    "months": {"reducer": "count", "field": "f_months"},
                    "longest": {"reducer": "max", "field": "f_hours", "minimum": 0},
                    "signed": {"reducer": "all_true", "field": "f_signed"},
                },
            }
        }
    }
)
GOOD = {"f_income_monthly": 5, "f_months": 1}


def warned(body):
    return list(typing_errors(body, decoded(body), CATALOGUE))


def stub(**more):
    return {name: value for name, value in (ok("e1", 1, GOOD, processor="pay_stub") | more).items() if value != "gone"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (stub(output={"factor": GOOD}), ['output has no factors: member "factor"', 'did you mean "factors"?']),
        (stub(output={"Factors": GOOD}), ['did you mean "factors"?']),
        (stub(output={"f_income_monthly": 5}), ['output has no factors: member "f_income_monthly" in it is not read']),
        (stub(output="gone", factors=GOOD), ['member "factors" is not read', 'did you mean "output.factors"?']),
        (stub(output="gone", factor=GOOD), ['did you mean "output.factors"?']),
        (stub(factors=GOOD), ['did you mean "output.factors"?']),
        (stub(output="gone", outputs={"factors": GOOD}), ['member "outputs"', 'did you mean "output"?']),
        (stub(output="gone", Output={"factors": GOOD}), ['did you mean "output"?']),
        (stub(supercedes="e0"), ['did you mean "supersedes"?']),
        (stub(event_id="gone", eventId="x"), ['member "eventId" is not read; did you mean "event_id"?']),
        (stub(attempt="gone", attempts=2), ['did you mean "attempt"?']),
        (stub(output={"factors": {"f_income_montly": 5}}), ['reads field "f_income_montly"', '"f_income_monthly"?']),
        (stub(output={"factors": {"fIncomeMonthly": 5}}), ['did you mean "f_income_monthly"?']),
        (
            stub(output={"factors": GOOD | {"f_colour": "red"}}),
            ['no factor of processor "pay_stub" reads field "f_colour"'],
        ),
        (stub(processor="Pay_Stub"), ['processor "Pay_Stub" is not declared', 'did you mean "pay_stub"?']),
        (stub(processor="pay-stubs"), ['did you mean "pay_stub"?']),
        (stub(processor="weather"), ['processor "weather" is not declared in ruleset test/1']),
        (stub(application_id="app "), ["application_id begins or ends with white space"]),
        (stub(execution_id="\te1"), ["execution_id begins or ends with white space"]),
        (stub(supersedes="e0\u00a0"), ["supersedes begins or ends with white space"]),
        (stub(output={"factors": {"f_income_monthly": "1,000"}}), ['"f_income_monthly" is rejected', "want a number"]),
        (stub(output={"factors": {"f_income_monthly": True}}), ["want a number"]),
        (stub(output={"factors": {"f_signed": "yes"}}), ['"f_signed" is rejected', "want a boolean"]),
        (stub(output={"factors": {"f_hours": -1}}), ['"f_hours" is rejected', "out of its factors' bounds"]),
        (stub(status="started"), ["the output is not read, as the status is started"]),
        (failed("e1", 1, processor="pay_stub", error={"Code": "X"}), ['did you mean "code"?']),
        (failed("e1", 1, processor="pay_stub", error={"reason": "X"}), ["error has no code or message"]),
    ],
)
def test_a_typing_error_is_named(body, words):
    """By member, field, processor or id, with what was probably meant."""
    (told,) = warned(body)
    for word in words:
        assert word in told


@pytest.mark.parametrize(
    "body",
    [
        stub(),
        stub(trace_id="t", metadata={"factors": 1}, tags=[]),
        stub(output={"factors": GOOD, "raw": "x"}),
        stub(output={"factors": {}}),
        stub(output={}),
        stub(output=None),
        failed("e1", 1, processor="pay_stub"),
        failed("e1", 1, processor="pay_stub", output={"factors": GOOD}),
        event("e1", "started", 1, processor="pay_stub"),
        {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "time": "2025-03-03T09:00:00Z", "data": stub()},
    ],
)
def test_what_is_right_gets_no_warning(body):
    """Members of the producer's own are legal, and so is an output without factors."""
    assert warned(body) == []


def test_an_envelope_is_looked_through():
    """What is mistyped in a structured CloudEvent's data is found as well."""
    (told,) = warned({"specversion": "1.0", "data": stub(output={"factor": GOOD})})
    assert 'did you mean "factors"?' in told


def test_values_are_never_told():
    """Names and members only."""
    told = "".join(
        warned(stub(application_id="secret-app ", output={"factor": {"x": "secret"}}, factors={"y": "secret"}))
    )
    assert "secret" not in told


def test_a_believable_day_has_none():
    """But for the processor that it does not declare on purpose, and the field that nobody reads."""
    sample = catalogue_of(load_catalogue())
    events = [
        one for one in believable(31, 50, rates=Rates(out_of_bounds=0.0, wrong_type=0.0)) if isinstance(one, dict)
    ]
    found = {told for one in events for told in typing_errors(one, decoded(one), sample)}
    assert {
        told for told in found if '"device_fingerprint" is not declared' not in told and '"f_reviewer_note"' not in told
    } == set()
