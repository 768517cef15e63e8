"""Which factors of an output count, and what is said of the others."""

from decimal import Decimal

import pytest

from models.quality import Issue, QualityIssue
from streams.core.acceptance import Accepted, accept
from tests.inputs.cases import event, failed, ok
from tests.oracle.folds import catalogue_of, decoded

FIELDS = (
    catalogue_of(
        {
            "processors": {
                "p": {
                    "type": "document",
                    "factors": {
                        "f_sum": {"reducer": "sum", "field": "n", "minimum": 0, "maximum": Decimal("10.5")},
                        "f_low": {"reducer": "min", "field": "low", "minimum": 1},
                        "f_all": {"reducer": "all_true", "field": "b", "required": True},
                        "f_latest": {"reducer": "latest", "field": "any"},
                    },
                }
            }
        }
    )
    .processors["p"]
    .fields
)

NOTHING = Accepted({}, contributes=False, issues=())


def accepted(factors, fields=FIELDS):
    return accept(decoded(ok("e", 1, {"b": True} | factors)), fields)


def judged(name, value):
    """The text that a value was accepted as, or the issue."""
    found = accepted({name: value})
    if name in found.factors:
        assert not found.issues
        return found.factors[name]
    (issue,) = found.issues
    assert issue.factor == name
    return issue.issue


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("n", 0, "0"),
        ("n", Decimal("10.50"), "10.5"),
        ("n", Decimal("-0.0"), "0"),
        ("n", Decimal("10.51"), Issue.FACTOR_OUT_OF_BOUNDS),
        ("n", -1, Issue.FACTOR_OUT_OF_BOUNDS),
        ("n", True, Issue.FACTOR_WRONG_TYPE),
        ("n", "5", Issue.FACTOR_WRONG_TYPE),
        ("n", None, Issue.FACTOR_NULL),
        ("low", 10**37, "1" + "0" * 37),
        ("low", Decimal("0.99"), Issue.FACTOR_OUT_OF_BOUNDS),
        ("b", False, "false"),
        ("b", 1, Issue.FACTOR_WRONG_TYPE),
        ("b", "true", Issue.FACTOR_WRONG_TYPE),
        ("any", "text", '"text"'),
        ("any", True, "true"),
        ("any", Decimal("1.0"), "1"),
    ],
)
def test_a_value_is_accepted_or_said_to_be_wrong(name, value, result):
    """A field takes its kind within its inclusive bounds; a boolean is never a number, nor a text one."""
    assert judged(name, value) == result


def test_a_field_that_no_factor_reads_contributes_and_is_not_kept():
    """An unlisted scalar makes the execution contributing, and is no part of the state."""
    found = accepted({"unlisted": "x", "b": "wrong"})
    assert (found.factors, found.contributes) == ({}, True)
    assert not accepted({"unlisted": None, "b": "wrong"}).contributes


def test_a_required_field_that_is_missing_or_null_is_an_issue():
    """It never blocks: whatever else was found counts."""
    missing = QualityIssue(Issue.REQUIRED_FACTOR_MISSING, "b")
    found = accept(decoded(ok("e", 1, {"n": 1})), FIELDS)
    assert (found.factors, found.issues) == ({"n": "1"}, (missing,))
    assert accept(decoded(ok("e", 1, {"b": None})), FIELDS).issues == (QualityIssue(Issue.FACTOR_NULL, "b"), missing)
    assert accept(decoded(event("e", "completed", 1)), FIELDS).issues == (missing,)


def test_merge_reads_every_scalar_of_any_name():
    """Without a rule all but nulls is accepted."""
    found = accepted({"n": "x", "z": None, "b": True}, None)
    assert (found.factors, found.contributes) == ({"b": "true", "n": '"x"'}, True)
    assert found.issues == (QualityIssue(Issue.FACTOR_NULL, "z"),)
    assert accept(decoded(ok("e", 1, {})), None) == NOTHING


NO_DECLARED_FIELD = QualityIssue(Issue.NO_DECLARED_FIELD)


@pytest.mark.parametrize(
    ("factors", "fields", "is_lost"),
    [
        ({"nn": 1}, FIELDS, True),
        ({"nn": None, "unlisted": "x"}, FIELDS, True),
        ({"nn": 1, "any": None}, FIELDS, False),
        ({"nn": 1, "n": "wrong"}, FIELDS, False),
        ({"nn": 1, "n": 1}, FIELDS, False),
        ({}, FIELDS, False),
        (None, FIELDS, False),
        ({"nn": 1}, None, False),
    ],
)
def test_an_output_of_which_the_catalogue_reads_no_field_is_an_issue(factors, fields, is_lost):
    """A field that it reads is enough, whatever its value; no factors, or a processor without rules, is no issue."""
    found = accept(decoded(event("e", "completed", 1, output={"factors": factors})), fields)
    assert (NO_DECLARED_FIELD in found.issues) is is_lost


def test_an_output_without_a_declared_field_counts_as_before():
    """The execution contributes, and nothing of it is kept."""
    found = accept(decoded(ok("e", 1, {"nn": 1})), FIELDS)
    assert (found.factors, found.contributes) == ({}, True)
    assert found.issues == (NO_DECLARED_FIELD, QualityIssue(Issue.REQUIRED_FACTOR_MISSING, "b"))


@pytest.mark.parametrize("fields", [FIELDS, None])
@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"factors": {"n": 1}}, ["factors"]),
        ({"factor": 1}, ["factor"]),
        ({"outputs": {"factors": {"n": 1}}}, ["outputs"]),
        ({"output": {"factor": {"n": 1}}}, ["output.factor"]),
        ({"factors": [], "outputs": "", "output": {"factor": 0, "factors": {"b": True}}}, 3 * ["?"]),
        ({"factors": None, "output": {"factor": None}}, []),
        ({"Factors": {}, "result": {"n": 1}, "output": {"Factor": 1, "outputs": 1, "n": 1}}, []),
    ],
)
def test_a_member_that_looks_like_the_factors_is_an_issue(changes, names, fields):
    """Exactly four names, where they hold anything; with rules or without; any other unknown member is none."""
    issues = accept(decoded(event("e", "completed", 1, **changes)), fields).issues
    found = [name for issue, name in issues if issue is Issue.FACTORS_MISPLACED]
    assert found == names or (names == 3 * ["?"] and found == ["factors", "outputs", "output.factor"])


@pytest.mark.parametrize("status", ["requested", "started", "failed", "superseded", "cancelled"])
def test_only_a_completed_execution_can_have_lost_its_factors(status):
    """On any other status nothing would have been read from the right place either."""
    assert accept(decoded(event("e", status, 1, factors={"n": 1}, outputs={})), FIELDS) == NOTHING


def test_only_a_completed_execution_has_factors():
    """A failure's output is ignored, which is an issue; a failure without one is none."""
    found = accept(decoded(failed("e", 1, output={"factors": {"n": 1}})), FIELDS)
    assert found == Accepted({}, contributes=False, issues=(QualityIssue(Issue.OUTPUT_IGNORED),))
    assert accept(decoded(failed("e", 1)), FIELDS) == NOTHING
