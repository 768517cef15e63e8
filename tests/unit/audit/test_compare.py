"""``consolidator compare --input``: the old strategy, and another catalogue, side by side over a file's events."""

import json

import pytest

from models.errors import ContractError
from streams.audit.comparison.catalogue_changes import CatalogueChanges
from streams.audit.comparison.report import Member, Report, Thresholds
from streams.cli.main import cli
from streams.cli.output.comparison import comparison_lines
from tests.inputs.cases import event, failed, ok, one_factor
from tests.inputs.workloads import load_catalogue, parse_json, to_json
from tests.oracle.folds import catalogue_of, run_core


def run(runner, lines, *arguments, exit_code=0):
    result = runner.invoke(
        cli,
        ["compare", "--input", "-", *arguments],
        input=b"\n".join(line if isinstance(line, bytes) else to_json(line) for line in lines),
        catch_exceptions=False,
    )
    assert result.exit_code == exit_code, result.output
    return result


def compared(runner, lines, *arguments, exit_code=0):
    """The differences by application, and the summary."""
    result = run(runner, lines, "--format", "json", *arguments, exit_code=exit_code)
    *differences, summary = map(parse_json, result.stdout.splitlines())
    assert summary["kind"] == "summary"
    assert summary["different"] == len(differences)
    return {one["application_id"]: one for one in differences}, summary


def of(application, processor, *events):
    return [one | {"application_id": application, "processor": processor} for one in events]


MISSION = [
    *of(
        "app-1",
        "bank_statement",
        ok("x1", 1, {"f_revenue_monthly": 10000}),
        failed("x2", 2),
        ok("x3", 3, {"f_revenue_monthly": 12000}),
    ),
    *of("app-2", "credit_check", failed("c1", 1), failed("c2", 2)),
    *of(
        "app-3",
        "drivers_license",
        ok("d1", 1, {"f_license_verified": True}),
        failed("d2", 2),
        ok("d3", 3, {"f_license_verified": True}),
    ),
]
"""The three scenarios of the Failed Execution Consolidation Strategy."""


def members(difference):
    """What differs, as (before, after) by name."""
    return {
        one.get("factor", one["member"]): (one.get("before"), one.get("after")) for one in difference["differences"]
    }


def test_the_missions_scenarios_are_explained(runner):
    """The old strategy's results for the three scenarios, each difference with its rule and its reason in words."""
    differences, summary = compared(runner, MISSION, "--strategy", "legacy")
    partial = {"outcome": ("consolidated", "partial"), "active": (2, 3), "failed": (0, 1)}
    assert members(differences["app-1"]) == partial
    assert members(differences["app-3"]) == partial
    assert members(differences["app-2"]) == {
        "outcome": ("0 active executions", "cleared"),
        "active": (0, 2),
        "failed": (0, 2),
    }
    assert differences["app-1"]["explanation"] == (
        "1 of 3 active executions failed (x2: TIMEOUT): they count, and contribute no factors. The old platform left "
        "them out. The factors are the same."
    )
    assert differences["app-2"]["explanation"] == (
        "All 2 active executions failed (c1: TIMEOUT, c2: TIMEOUT): there are no factors, and the consolidation has "
        "succeeded. The old platform saw 0 active executions."
    )
    assert {rule["rule"]: rule["pairs"] for rule in summary["rules"]} == {
        "failed_executions_are_active": 2,
        "all_failed_clears": 1,
    }
    assert (summary["pairs"], summary["expected"], summary["unexpected"], summary["go"]) == (3, 3, 0, True)


def test_stale_factors_of_the_old_platform_are_named(runner):
    """Where the last success was retried and failed, the old platform may still show its factors."""
    score = ok("c1", 1, {"f_credit_score": 710}, attempt=1)
    differences, _ = compared(
        runner, of("app", "credit_check", score, failed("c1", 2, attempt=2)), "--strategy", "legacy"
    )
    assert differences["app"]["stale_factors"] == {"f_credit_score": 710}
    assert "may still show the last factors that there were: f_credit_score = 710" in differences["app"]["explanation"]


def test_a_failed_rerun_is_told_apart(runner):
    """What a failed rerun replaced, the old platform kept: factors differ, by a rule of their own."""
    events = of("app", "bank_statement", ok("x1", 1, {"f_revenue_monthly": 500}), failed("x2", 2, supersedes="x1"))
    differences, summary = compared(runner, events, "--strategy", "legacy")
    assert members(differences["app"])["f_revenue_monthly_avg"] == (500, None)
    factors = [one for one in differences["app"]["differences"] if one["member"] == "factor"]
    assert {rule for one in factors for rule in one["expected_by"]} == {"failed_rerun_replaces"}
    assert summary["unexpected"] == 0


def test_without_a_failure_nothing_differs_from_the_old_strategy(runner):
    """The new strategy is backward compatible: successes, running and withdrawn executions give the same."""
    events = [
        *of("app-1", "bank_statement", ok("x1", 1, {"f_revenue_monthly": 1}), event("x2", "started", 2)),
        *of("app-2", "credit_check", event("c1", "requested", 1)),
        *of("app-3", "credit_check", event("c1", "requested", 1), event("c1", "cancelled", 2)),
    ]
    differences, summary = compared(runner, events, "--strategy", "legacy")
    assert differences == {}
    assert (summary["pairs"], summary["equal"]) == (3, 3)


@pytest.fixture
def changed_catalogue(tmp_path):
    """The sample catalogue with another reducer for the average revenue, in a file."""
    catalogue = load_catalogue()
    factor = catalogue["processors"]["bank_statement"]["factors"]["f_revenue_monthly_avg"]
    catalogue["version"] = "next"
    factor["reducer"] = "max"
    factor.pop("scale", None)
    path = tmp_path / "next.json"
    path.write_bytes(to_json(catalogue))
    return str(path)


def test_another_catalogue_changes_what_it_declares(runner, changed_catalogue):
    """One factor's reducer is other: that factor differs where it was a mean of several values, nothing else does."""
    differences, summary = compared(runner, MISSION, "--catalogue", changed_catalogue)
    assert {name: members(one) for name, one in differences.items()} == {
        "app-1": {"f_revenue_monthly_avg": (11000, 12000)}
    }
    assert "bank_statement.factors.f_revenue_monthly_avg.reducer" in {rule["rule"] for rule in summary["rules"]}
    assert (summary["before"]["name"], summary["after"]["name"]) == (
        "sample-underwriting/2026.1",
        "sample-underwriting/next",
    )


def test_too_many_differences_are_a_no_go(runner, changed_catalogue):
    """Above --max-different the verdict is no-go, with exit code 1 and the reason."""
    result = run(
        runner, MISSION, "--catalogue", changed_catalogue, "--max-different", "33", "--format", "table", exit_code=1
    )
    assert result.stdout.splitlines()[-1] == "no-go: 33.33 % of the pairs differ, at most 33.0 % may"
    assert run(runner, MISSION, "--catalogue", changed_catalogue, "--max-different", "34").stdout.endswith("\ngo\n")


def test_dropping_a_processor_or_changing_most_results_has_to_be_meant(runner, tmp_path):
    """Both are a no-go by default, each with the flag that says that it is meant."""
    catalogue = load_catalogue()
    catalogue["version"] = "next"
    for name in ("bank_statement", "drivers_license"):
        del catalogue["processors"][name]
    path = tmp_path / "next.json"
    path.write_bytes(to_json(catalogue))
    _, summary = compared(runner, MISSION, "--catalogue", str(path), exit_code=1)
    assert summary["dropped_processors"] == ["bank_statement", "drivers_license"]
    assert summary["objections"] == [
        "66.67 % of the pairs differ, at most 50 % may; --max-different sets another limit",
        "processor bank_statement is dropped and its factors would be merged, unless --drop bank_statement says so",
        "processor drivers_license is dropped and its factors would be merged, unless --drop drivers_license says so",
    ]
    meant = ["--drop", "bank_statement", "--drop", "drivers_license", "--max-different", "70"]
    assert compared(runner, MISSION, "--catalogue", str(path), *meant)[1]["go"] is True


def test_a_version_is_one_content(runner, tmp_path):
    """A file with the name and version of the catalogue in force, and another content, is refused before any fold."""
    catalogue = load_catalogue()
    catalogue["processors"]["bank_statement"]["factors"]["f_revenue_monthly_avg"]["scale"] = 3
    path = tmp_path / "edited.json"
    path.write_bytes(to_json(catalogue))
    with pytest.raises(ContractError, match="a version has only one content"):
        run(runner, MISSION, "--catalogue", str(path))


def test_people_are_told_rules_examples_and_the_verdict(runner):
    """The table names each rule, some pairs for each, the totals, and the verdict last."""
    lines = run(runner, MISSION, "--strategy", "legacy", "--examples", "1").stdout.splitlines()
    assert lines[1] == "expected by failed_executions_are_active: 2 pairs"
    assert lines[3].startswith('  - app-1 bank_statement: outcome: "consolidated" → "partial"; active: 2 → 3')
    assert not any("app-3" in line for line in lines), "one example of each rule was asked for"
    assert lines[-2:] == ["3 pairs: 0 equal, 3 different, of which 3 as expected and 0 unexpectedly", "go"]


def test_bad_lines_are_a_no_go(runner):
    """A line that is no event is complained of once, and speaks against going ahead."""
    result = run(runner, [*MISSION, b"{"], "--strategy", "legacy", "--format", "json", exit_code=1)
    assert [line[:7] for line in result.stderr.splitlines()] == ["line 9:"]
    assert json.loads(result.stdout.splitlines()[-1])["objections"] == [
        "1 lines are no events, and were left out on both sides"
    ]


def test_what_nothing_declares_is_unexpected():
    """A factor that differs between catalogues which declare it alike is by no rule, and a no-go."""
    catalogue = one_factor("sum")
    run_by_another = run_core(one_factor("max"), [ok("a", 1), ok("b", 2)])
    run_by_this = run_core(catalogue, [ok("a", 1), ok("b", 2)])
    ((before,), (after,)) = (list(found.pairs.values()) for found in (run_by_this, run_by_another))
    difference = CatalogueChanges(catalogue_of(catalogue), catalogue_of(catalogue)).difference(before, after)
    assert difference.members == [(Member("factor", "f", "2", "1"), ())]
    report = Report(most_examples=3)
    report.add(difference)
    assert report.objections(Thresholds()) == ["1 pairs differ unexpectedly, at most 0 may"]
    assert list(comparison_lines(report, []))[:2] == [
        "unexpected, by no rule that differs: 1 pair",
        "  - app p: f: 2 → 1",
    ]


def test_a_row_that_was_full_is_told():
    """Where one catalogue keeps more of each event, a row is full earlier: expected only if acceptance differs."""
    before, after = (one_factor("latest"), one_factor("latest", minimum=1))
    few, many = ([ok("a", 1)], [ok("a", 1), ok("b", 2)])
    pairs = [next(iter(run_core(content, items).pairs.values())) for content, items in ((before, many), (after, few))]
    difference = CatalogueChanges(catalogue_of(before), catalogue_of(after)).difference(*pairs)
    assert [str(member) for member, _ in difference.members] == ["events: 2 → 1"]
    assert difference.expected
    unchanged = CatalogueChanges(catalogue_of(before), catalogue_of(before)).difference(*pairs)
    assert not unchanged.expected


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give --catalogue NEW or --strategy legacy"),
        (["--strategy", "legacy", "--catalogue", "x.toml"], "give --catalogue NEW or --strategy legacy"),
        (["--strategy", "legacy", "--input", "-", "--to", "end"], "--input reads a file"),
        (["--strategy", "legacy", "--to", "beginning", "--to", "end"], "--to"),
    ],
)
def test_what_is_no_comparison_is_refused(runner, arguments, told):
    """Wrong usage ends with exit code 2 and says what is wrong."""
    result = runner.invoke(cli, ["compare", *arguments])
    assert result.exit_code == 2
    assert told in result.stderr
