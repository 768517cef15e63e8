"""The oracle's factors against cases worked by hand: acceptance, the rule of each type, reducers and exact numbers."""

from decimal import Decimal
from typing import Any

import pytest

from tests.inputs.cases import event, failed, fold, ok, one_factor, state
from tests.oracle.rules import canonical_json


@pytest.mark.parametrize("output", [None, {}, {"factors": {}}, {"factors": {"x": None}}])
def test_an_empty_success_contributes_nothing(output: Any) -> None:
    """An empty, null or all-null output is a completed execution: no zero, no null, no vacuous truth."""
    found = state(one_factor("all_true"), event("a", "completed", 1, output=output))
    assert (found.outcome, found.factors, found.counts) == ("consolidated", {}, (1, 1, 0, 0))


def test_a_failed_output_is_ignored() -> None:
    """What a failed execution sends as output counts for nothing."""
    found = state(one_factor("count"), failed("a", 1, output={"factors": {"x": 1}}))
    assert (found.outcome, found.factors) == ("cleared", {})


@pytest.mark.parametrize(
    ("reducer", "bounds", "value", "accepted"),
    [
        ("sum", {}, True, False),
        ("sum", {}, "1", False),
        ("sum", {"minimum": 0, "maximum": 10}, 10, True),
        ("sum", {"minimum": 0, "maximum": 10}, Decimal("-0.0"), True),
        ("sum", {"minimum": 0, "maximum": 10}, -1, False),
        ("sum", {"minimum": 0, "maximum": 10}, Decimal("10.01"), False),
        ("latest", {"minimum": 0}, "text", False),
        ("latest", {}, "text", True),
        ("count", {}, True, True),
        ("count_true", {}, 1, False),
        ("any_true", {}, False, True),
    ],
)
def test_acceptance(reducer: str, bounds: dict[str, Any], value: Any, accepted: bool) -> None:  # noqa: FBT001
    """A field is a number, a boolean or any scalar by its reducers and bounds; what does not fit is rejected."""
    assert state(one_factor(reducer, **bounds), ok("a", 1, {"x": value})).executions["contributing"] == int(accepted)


def test_a_field_that_no_factor_reads_makes_contributing_only() -> None:
    """An unlisted factor is accepted: the execution contributes, and no factor comes of it."""
    found = state(one_factor("count"), ok("a", 1, {"unlisted": "note"}))
    assert (found.factors, found.counts) == ({}, (1, 1, 0, 1))


def test_application_takes_the_latest_contributing_success_alone() -> None:
    """Neither a later failure nor a later empty success hides it, and an earlier one fills none of its gaps."""
    both: dict[str, Any] = {"x": {"reducer": "latest", "field": "x"}, "n": {"reducer": "count", "field": "x"}}
    catalogue = {"processors": {"p": {"type": "application", "factors": both}}}
    items = [ok("a", 1, {"x": 710}), ok("b", 2, {"x": 650}), failed("c", 3), ok("d", 4, {})]
    assert state(catalogue, *items).factors == {"n": 1, "x": 650}
    found = state(catalogue, *items, ok("e", 5, {"other": 1}))
    assert (found.factors, found.executions["contributors"]) == ({}, ["a", "b", "e"])


def test_merge_lets_the_later_one_win() -> None:
    """An unknown processor's factors are merged in execution order without nulls and failures; its type is null."""
    items = [ok("b", 2, {"x": 2, "y": None}), ok("a", 1, {"x": 1, "y": "first"}), failed("c", 3)]
    found = state({"processors": {}}, *items)
    assert (found.factors, found.processor_type, found.outcome) == ({"x": 2, "y": "first"}, None, "partial")


def test_execution_order_is_the_ends_time_and_then_the_id() -> None:
    """Arrival decides nothing: of two ends at one instant the greater execution_id is the later."""
    items = [ok("b", 1, {"x": "b"}), ok("a", 1, {"x": "a"}), ok("c", 0, {"x": "c"})]
    found = state(one_factor("latest"), *items)
    assert (found.factors, found.executions["contributors"]) == ({"f": "b"}, ["c", "a", "b"])
    assert state(one_factor("earliest"), *items).factors == {"f": "c"}


@pytest.mark.parametrize(
    ("reducer", "extra", "values", "text"),
    [
        ("mean", {}, ["0.01", "0.02"], "0.02"),  # 0.015: half goes to the even 2
        ("mean", {}, ["0.02", "0.03"], "0.02"),  # 0.025: half goes to the even 2
        ("mean", {}, ["10", "10", "11"], "10.33"),
        ("mean", {"scale": 0}, ["2", "3"], "2"),
        ("mean", {"scale": 0}, ["-1", "-2"], "-2"),
        ("mean", {"scale": 0}, ["-0.2", "-0.2"], "0"),
        ("sum", {}, ["100000000000000000000000000000", "1", "-100000000000000000000000000000"], "1"),
        ("sum", {}, ["99999999999999999999999999999999999999"] * 2, "199999999999999999999999999999999999998"),
        ("sum", {}, ["0.1", "0.20"], "0.3"),
        ("sum", {}, ["1E+3", "1E-20"], "1000.00000000000000000001"),
        ("sum", {"scale": 1}, ["0.25"], "0.2"),
        ("sum", {}, ["-0.0"], "0"),
        ("min", {}, ["2.50", "10"], "2.5"),
        ("max", {}, ["2.50", "10.00"], "10"),
        ("latest", {"scale": 1}, ["0.35"], "0.4"),
        ("latest", {}, ["12345678901234567890.123456789012345678"], "12345678901234567890.123456789012345678"),
        ("distinct_count", {}, ["1", "1.0", "1E+0", "2"], "2"),
    ],
)
def test_numbers_are_exact_and_rounded_once(reducer: str, extra: dict[str, Any], values: list[str], text: str) -> None:
    """No digit is lost before the one half-even rounding, and numbers are written plain."""
    items = [ok(f"e{n}", n, {"x": Decimal(value)}) for n, value in enumerate(values)]
    assert canonical_json(state(one_factor(reducer, **extra), *items).factors["f"]) == text


@pytest.mark.parametrize(
    ("reducer", "values", "result"),
    [
        ("count_true", [False, False], 0),
        ("count_true", [True, False], 1),
        ("all_true", [True, False], False),
        ("all_true", [True], True),
        ("any_true", [False, True], True),
        ("distinct_count", [True, 1, "1", "true", Decimal("1.0")], 4),
    ],
)
def test_booleans_and_typed_comparison(reducer: str, values: list[Any], result: Any) -> None:
    """A count of true may be 0 over at least one value; True, 1 and "1" are three different values."""
    found = state(one_factor(reducer), *[ok(f"e{n}", n, {"x": value}) for n, value in enumerate(values)])
    assert canonical_json(found.factors) == canonical_json({"f": result})


def test_floats_are_refused() -> None:
    """A float anywhere in the input is the test's mistake and is not rounded away."""
    with pytest.raises(TypeError):
        state(one_factor("sum"), ok("a", 1, {"x": 0.1}))


def test_a_field_has_one_kind() -> None:
    """A field that is read as a number and as a boolean is a mistake in the catalogue."""
    factors = {"a": {"reducer": "sum", "field": "x"}, "b": {"reducer": "all_true", "field": "x"}}
    with pytest.raises(ValueError, match="field x"):
        fold({"processors": {"p": {"type": "document", "factors": factors}}})
