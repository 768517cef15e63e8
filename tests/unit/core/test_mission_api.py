"""The mission's API: executions in, factors out, recomputed every time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from models.catalogue import ProcessorRule
from streams.core import MERGE, ExecutionRecord, InMemoryExecutionRepository, consolidate
from tests.inputs.cases import event, failed, ok, one_factor
from tests.inputs.workloads import load_catalogue
from tests.oracle.folds import catalogue_of, decoded

NINE = datetime(2025, 3, 3, 9, tzinfo=UTC)
SAMPLE = catalogue_of(load_catalogue())


def record(execution_id, second=0, factors=None, **fields):
    found = {
        "execution_id": execution_id,
        "processor": "p",
        "status": "completed",
        "occurred_at": NINE + timedelta(seconds=second),
        "output": None if factors is None else {"factors": factors},
    }
    return ExecutionRecord(**(found | fields))


def failure(execution_id, second=0, **fields):
    return record(execution_id, second, status="failed", **fields)


def rule_of(reducer, *, kind="document", **factor):
    return ProcessorRule.model_validate(
        {"type": kind, "factors": {"f": {"reducer": reducer, "field": "x"} | factor}}, strict=False
    )


def reduced(reducer, *values, **factor):
    found = consolidate(
        [record(f"e{n}", n, {"x": value}) for n, value in enumerate(values)], rule=rule_of(reducer, **factor)
    )
    return found.get("f", "absent")


def scenario(processor, *outputs):
    executions = [
        failure(f"e{n}", n, processor=processor)
        if factors is None
        else record(f"e{n}", n, factors, processor=processor)
        for n, factors in enumerate(outputs)
    ]
    return consolidate(executions, rule=SAMPLE.processors[processor])


def test_the_missions_scenarios():
    """11000 over 2 months; nothing, and no error; two licences of two."""
    revenues = [{"f_revenue_monthly": 10000}, None, {"f_revenue_monthly": 12000}]
    assert scenario("bank_statement", *revenues) == {"f_revenue_monthly_avg": 11000, "f_months_analyzed": 2}
    assert scenario("credit_check", None, None) == {}
    verified = {"f_license_verified": True}
    assert scenario("drivers_license", verified, None, verified) == {
        "f_verified_licenses_count": 2,
        "f_total_licenses_processed": 2,
    }


def test_no_execution_has_no_factors():
    """The strategy's first line: nothing in, nothing out."""
    assert consolidate([]) == {}
    assert consolidate([], rule=rule_of("count")) == {}


def test_executions_of_several_processors_are_refused():
    """A consolidation is of one processor; the error names those that were mixed."""
    with pytest.raises(ValueError, match="p, q"):
        consolidate([record("a"), record("b", processor="q")])


def test_merge_lets_the_later_execution_win():
    """Execution order is time and then id, not the order of the list; nulls and failures overwrite nothing."""
    executions = [
        record("c", 1, {"x": 3, "y": None}),
        failure("z", 9, output={"factors": {"x": "ignored"}}),
        record("a", 1, {"x": 1, "y": "first"}),
        record("b", 0, {"x": 0, "z": True}),
    ]
    assert consolidate(executions) == consolidate(executions[::-1], rule=MERGE) == {"x": 3, "y": "first", "z": True}


def test_an_application_has_the_latest_contributing_success_alone():
    """Neither a later failure nor a success without a factor hides it."""
    rule = rule_of("latest", kind="application")
    executions = [record("a", 1, {"x": 710}), record("b", 2, {"x": 650}), failure("c", 3), record("d", 4, {"x": None})]
    assert consolidate(executions, rule=rule) == {"f": 650}
    assert consolidate([*executions, record("e", 5, {"other": 1})], rule=rule) == {}


@pytest.mark.parametrize(
    ("reducer", "values", "result"),
    [
        ("mean", [Decimal("0.01"), Decimal("0.02")], Decimal("0.02")),
        ("mean", [1, 2, 2], Decimal("1.67")),
        ("mean", [-1, -2], Decimal("-1.5")),
        ("sum", [10**29, 1, -(10**29)], 1),
        ("sum", [Decimal("0.1"), Decimal("0.20")], Decimal("0.3")),
        ("sum", [Decimal("1E-38"), 10**30], Decimal("1" + "0" * 30 + "." + "0" * 37 + "1")),
        ("min", [3, Decimal("2.50")], Decimal("2.5")),
        ("max", [3, Decimal("3.0")], 3),
        ("count", [True, "x", 0], 3),
        ("latest", ["a", "b"], "b"),
        ("earliest", ["a", "b"], "a"),
        ("count_true", [True, False, True], 2),
        ("count_true", [False], 0),
        ("all_true", [True, False], False),
        ("any_true", [True, False], True),
        ("distinct_count", [True, 1, "1", Decimal("1.0")], 3),
        ("sum", [True, "1", None], "absent"),
        ("all_true", [1, None], "absent"),
        ("count", [], "absent"),
    ],
)
def test_every_reducer(reducer, values, result):
    """Exact, rounded once, in plain Python numbers; absent where no value counts."""
    found = reduced(reducer, *values)
    assert (found, type(found)) == (result, type(result))


def test_bounds_and_scale_are_applied():
    """A value out of bounds counts for nothing, and a result is rounded half to even."""
    assert reduced("sum", -1, 11, Decimal("0.25"), minimum=0, maximum=10, scale=1) == Decimal("0.2")
    assert reduced("count", -1, minimum=0) == "absent"
    assert reduced("count", 11, maximum=10) == "absent"


@pytest.mark.parametrize(
    "fields",
    [
        {"output": {"factors": {"x": 1.5}}},
        {"output": {"factors": {"x": [1]}}},
        {"output": {"factors": {"x": 10**38 + 1}}},
        {"output": {"factors": {"x": Decimal("1E+39")}}},
        {"output": {"factors": [1]}},
        {"output": []},
        {"processor": ""},
        {"status": "done"},
        {"attempt": 0},
        {"attempt": "1"},
        {"sequence": -1},
        {"occurred_at": datetime(2025, 3, 3)},  # noqa: DTZ001 - the point
        {"unknown": 1},
    ],
)
def test_a_record_that_is_wrong_is_refused(fields):
    """A float may have lost digits, a time without a zone is no time: better an error than a wrong factor."""
    with pytest.raises(ValidationError):
        record("a", **fields)


def test_a_record_has_an_attempt_unless_it_closes_all():
    """As in events: left out means the first, or all attempts on superseded and cancelled."""
    assert record("a").attempt == 1
    assert record("a", status="cancelled").attempt is None
    assert record("a", status="cancelled", attempt=2).attempt == 2


@pytest.mark.parametrize("output", [None, {}, {"factors": None}, {"factors": {}}, {"other": 1}])
def test_an_empty_output_is_legal(output):
    """A success that found nothing contributes nothing, and what a failure says is not even looked at."""
    assert consolidate([record("a", output=output)]) == {}
    assert consolidate([failure("a", output={"factors": ["of a wrong shape"]})]) == {}


def active(*items, catalogue=None):
    events = [decoded(item) for item in items]
    repository = InMemoryExecutionRepository(events, catalogue=catalogue)
    assert InMemoryExecutionRepository(events[::-1] * 2, catalogue=catalogue).get_active_executions("app", "p") == (
        repository.get_active_executions("app", "p")
    )
    return [(execution.execution_id, execution.status) for execution in repository.get_active_executions("app", "p")]


def test_failed_executions_are_active():
    """Completed and failed ones are, in execution order, as the strategy's query says; open ones are not."""
    found = active(failed("b", 2), ok("a", 3), event("c", "started", 1))
    assert found == [("b", "failed"), ("a", "completed")]


def test_closed_executions_are_not_active():
    """A cancellation or supersession that reaches the end's attempt takes the execution out."""
    assert active(ok("a", 1), event("a", "cancelled", 2)) == []
    assert active(failed("a", 1, attempt=2), event("a", "superseded", 2, attempt=1)) == [("a", "failed")]
    assert active(failed("a", 1, attempt=2), event("a", "superseded", 2, attempt=2)) == []


def test_replaced_executions_are_not_active():
    """Of a chain the last is left; a cancelled rerun replaces nothing, nor does one that has not ended, nor itself."""
    chain = [ok("a", 1), ok("b", 2, supersedes="a"), failed("c", 3, supersedes="b")]
    assert active(*chain) == [("c", "failed")]
    assert active(*chain[:2], event("b", "cancelled", 4)) == [("a", "completed")]
    assert active(chain[0], event("b", "started", 4, supersedes="a")) == [("a", "completed")]
    assert active(ok("a", 1, supersedes="a")) == [("a", "completed")]


def test_a_processor_may_keep_what_a_failed_rerun_replaces():
    """keep_previous comes from the catalogue; a successful rerun replaces all the same."""
    keeping = catalogue_of(one_factor("sum", policy="keep_previous"))
    rerun = [ok("a", 1), failed("b", 2, supersedes="a")]
    assert active(*rerun) == [("b", "failed")]
    assert active(*rerun, catalogue=SAMPLE) == [("b", "failed")]
    assert active(*rerun, catalogue=keeping) == [("a", "completed"), ("b", "failed")]
    assert active(ok("a", 1), ok("b", 2, supersedes="a"), catalogue=keeping) == [("b", "completed")]


def test_an_execution_is_active_by_its_last_end():
    """A failed retry stands for its execution, with attempt and code; an earlier success is no more."""
    events = [decoded(ok("a", 1)), decoded(failed("a", 2, attempt=2, sequence=4))]
    (found,) = InMemoryExecutionRepository(events).get_active_executions("app", "p")
    assert (found.status, found.attempt, found.sequence, found.error_code) == ("failed", 2, 4, "TIMEOUT")
    assert (found.application_id, found.output, found.factors) == ("app", None, {})
    assert found.occurred_at == NINE + timedelta(seconds=2)


def test_a_repository_takes_records_as_well():
    """Records of a table are looked up like events, pair by pair; one without an application cannot be."""
    records = [
        record("a", 1, {"x": 1}, application_id="app"),
        failure("b", 2, application_id="app"),
        record("c", 3, application_id="other"),
        record("d", 3, application_id="app", processor="q"),
    ]
    repository = InMemoryExecutionRepository(records)
    assert repository.get_active_executions("app", "p") == records[:2]
    assert consolidate(repository.get_active_executions("app", "p")) == {"x": 1}
    assert repository.get_active_executions("unknown", "p") == []
    with pytest.raises(ValueError, match="'a' has no application_id"):
        InMemoryExecutionRepository([record("a")])
