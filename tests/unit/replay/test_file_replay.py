"""``consolidator replay --input``: a file folded through the worker's core, without a broker."""

import json
from decimal import Decimal

import pytest

from models.rows import MAX_EXECUTIONS
from streams.cli.main import cli
from tests.inputs.workloads import UNKNOWN_PROCESSOR, believable, load_catalogue, numbered, parse_json, to_json
from tests.oracle.expected import expected

KEYS = ["application_id", "processor", "processor_type", "outcome", "factors", "executions"]
COUNTS = ["active", "completed", "failed", "contributing"]


def replay(runner, lines, *arguments, exit_code=0):
    """Replay lines from stdin as JSON; returns the result with its parsed rows."""
    result = runner.invoke(
        cli,
        ["replay", "--input", "-", "--format", "json", *arguments],
        input=b"\n".join(line if isinstance(line, bytes) else to_json(line) for line in lines),
        catch_exceptions=False,
    )
    assert result.exit_code == exit_code, result.output
    return result, [parse_json(line) for line in result.stdout.splitlines()]


def event(execution, status, second=0, **extra):
    return {
        "application_id": "app-1",
        "execution_id": execution,
        "processor": "bank_statement",
        "status": status,
        "occurred_at": f"2025-03-03T09:00:{second:02d}Z",
    } | extra


def revenue(amount):
    return {"output": {"factors": {"f_revenue_monthly": amount}}}


def scenario(processor, *outputs):
    """Executions one after the other; None is a failed one."""
    return [
        event(f"e{number}", "failed", number, processor=processor)
        if output is None
        else event(f"e{number}", "completed", number, processor=processor, output={"factors": output})
        for number, output in enumerate(outputs)
    ]


@pytest.mark.parametrize(
    ("events", "outcome", "factors", "counts"),
    [
        pytest.param(
            scenario("bank_statement", {"f_revenue_monthly": 10000}, None, {"f_revenue_monthly": 12000}),
            "partial",
            '"factors":{"f_months_analyzed":2,"f_revenue_monthly_avg":11000}',
            [3, 2, 1, 2],
            id="1: mixed",
        ),
        pytest.param(scenario("credit_check", None, None), "cleared", '"factors":{}', [2, 0, 2, 0], id="2: all failed"),
        pytest.param(
            scenario("drivers_license", {"f_license_verified": True}, None, {"f_license_verified": True}),
            "partial",
            '"factors":{"f_total_licenses_processed":2,"f_verified_licenses_count":2}',
            [3, 2, 1, 2],
            id="3: documents",
        ),
    ],
)
def test_the_missions_scenarios(runner, events, outcome, factors, counts):
    """Each of the mission's scenarios gives exactly its numbers, its outcome, and exit code 0."""
    result, [row] = replay(runner, events)
    assert row["outcome"] == outcome
    assert factors in result.stdout
    assert [row["executions"][name] for name in COUNTS] == counts


def test_every_line_has_the_same_keys_in_the_same_order(runner):
    """The members and their order are part of the contract; an unknown processor has the type null."""
    known = event("a", "completed", **revenue(1))
    unknown = event("b", "completed", processor=UNKNOWN_PROCESSOR, output={"factors": {"f_x": "y"}})
    _, rows = replay(runner, [known, unknown])
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert [list(row["executions"]) for row in rows] == [COUNTS, COUNTS]
    assert [row["processor_type"] for row in rows] == ["document", None]


def test_every_known_pair_is_printed_sorted(runner):
    """Pairs in progress and withdrawn ones are there too; applications and processors come in order."""
    rows = replay(
        runner,
        [
            event("a", "requested", application_id="app-2"),
            event("a", "cancelled", application_id="app-10"),
            event("b", "failed", processor="credit_check"),
            event("a", "started"),
        ],
    )[1]
    assert [(row["application_id"], row["processor"], row["outcome"]) for row in rows] == [
        ("app-1", "bank_statement", "in_progress"),
        ("app-1", "credit_check", "cleared"),
        ("app-10", "bank_statement", "withdrawn"),
        ("app-2", "bank_statement", "in_progress"),
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_believable_file_equals_the_independent_oracle(runner, seed):
    """Retries, supersessions, cancellations, late and repeated events: row for row what the oracle derives."""
    items = believable(seed, 60)
    _, rows = replay(runner, items)
    assert rows == expected(load_catalogue(), numbered(items), changes=False).replay_rows()


def test_numbers_keep_every_digit(runner):
    """A number of 38 digits comes out as it went in, never through a float."""
    digits = "1234567890123456789.0123456789012345678"
    result, _ = replay(
        runner, [event("a", "completed", processor="any", output={"factors": {"f_big": Decimal(digits)}})]
    )
    assert f'"factors":{{"f_big":{digits}}}' in result.stdout


def test_bad_lines_are_told_and_the_others_folded(runner):
    """Every bad line is named on stderr with its number and reason, blank lines count, and the exit code is 1."""
    good = event("a", "completed", **revenue(5))
    late = event("b", "nonsense")
    result, [row] = replay(runner, [b"{", good, b"", late, b'{"a":1,"a":2}', b"\xff"], exit_code=1)
    assert row["factors"] == {"f_months_analyzed": 1, "f_revenue_monthly_avg": 5}
    assert [line.split(":")[:2] for line in result.stderr.splitlines()[:-1]] == [
        ["line 1", " invalid_json"],
        ["line 4", " unknown_status"],
        ["line 5", " duplicate_key"],
        ["line 6", " invalid_utf8"],
    ]
    assert result.stderr.splitlines()[-1] == "4 of 5 lines are bad and were left out"


def test_one_execution_too_many_is_a_bad_line(runner):
    """The execution after the last that a row can hold is left out and named; the rest counts."""
    executions = [event(f"e{number}", "failed") for number in range(MAX_EXECUTIONS + 1)]
    result, [row] = replay(runner, executions, exit_code=1)
    assert row["executions"]["failed"] == MAX_EXECUTIONS
    assert f"line {MAX_EXECUTIONS + 1}: execution_limit" in result.stderr


def test_times_in_the_far_future_are_not_checked(runner):
    """A file has no clock to compare with."""
    _, [row] = replay(runner, [event("a", "failed", occurred_at="9999-01-01T00:00:00Z")])
    assert row["outcome"] == "cleared"


def test_an_empty_input_gives_nothing(runner):
    """No events, no pairs, exit code 0."""
    assert replay(runner, [])[1] == []


def test_with_an_unreadable_input_usage_is_wrong(runner, tmp_path):
    """A missing value, a missing file and a folder are usage errors: exit code 2, nothing on stdout."""
    for arguments in (["--input"], ["--input", str(tmp_path / "none")], ["--input", str(tmp_path)]):
        result = runner.invoke(cli, ["replay", *arguments])
        assert (result.exit_code, result.stdout) == (2, ""), arguments


def test_a_catalogue_of_ones_own_is_used(runner, tmp_path):
    """--catalogue decides the rules."""
    rules = {
        "schema_version": 1,
        "name": "mine",
        "version": "1",
        "processors": {
            "bank_statement": {
                "type": "stipulation",
                "factors": {"f_highest": {"reducer": "max", "field": "f_revenue_monthly"}},
            }
        },
    }
    catalogue = tmp_path / "mine.json"
    catalogue.write_text(json.dumps(rules), encoding="utf-8")
    events = [event("a", "completed", **revenue(5)), event("b", "completed", **revenue(7))]
    _, [row] = replay(runner, events, "--catalogue", str(catalogue))
    assert (row["processor_type"], row["factors"]) == ("stipulation", {"f_highest": 7})


def test_the_table_shows_every_pair_and_escapes_foreign_text(runner, tmp_path):
    """For people: a row for each pair, and nothing in it can steer a terminal."""
    file = tmp_path / "events.jsonl"
    steering = event("a", "completed", processor="evil\x1b[2J", output={"factors": {"f_\u202e": "\x1b[31m"}})
    file.write_bytes(to_json(event("a", "completed", **revenue(5))) + b"\n" + to_json(steering) + b"\n")
    result = runner.invoke(cli, ["replay", "--input", str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "f_revenue_monthly_avg = 5" in result.stdout
    assert "1 completed, 0 failed" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout


def test_many_pairs_are_plain_lines(runner):
    """Beyond some hundred pairs people get one aligned line a pair, every pair of them."""
    events = [event("a", "completed", application_id=f"app-{number:04d}", **revenue(5)) for number in range(600)]
    data = b"\n".join(map(to_json, events))
    lines = runner.invoke(cli, ["replay", "--input", "-"], input=data, catch_exceptions=False).stdout.splitlines()
    assert lines[0].split() == ["APPLICATION", "PROCESSOR", "OUTCOME", "EXECUTIONS", "FACTORS"]
    assert [line.split()[0] for line in lines[1:]] == [f"app-{number:04d}" for number in range(600)]
    assert lines[1].endswith("f_months_analyzed = 1, f_revenue_monthly_avg = 5")
