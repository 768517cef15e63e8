"""What publish says beside its result: text for people, objects for programs."""

import json

import pytest
from click.testing import CliRunner

from streams.cli.main import cli

MISTYPED = {
    "event_id": "e-1",
    "application_id": "app-1",
    "execution_id": "x-1",
    "processor": "bank_statement",
    "status": "completed",
    "occurred_at": "2025-03-03T09:00:00Z",
    "output": {"factor": {"f_revenue_monthly": 1}},
}


@pytest.fixture
def checked(tmp_path):
    """Checks lines without Kafka, and gives what stands on stderr and the result."""

    def run(*arguments, lines):
        result = CliRunner(env={"CONSOLIDATOR_STATE_DIR": str(tmp_path)}).invoke(
            cli, ["publish", "-", "--dry-run", *arguments], input="\n".join(lines), catch_exceptions=False
        )
        return result.stderr.splitlines(), result.stdout

    return run


def test_warnings_are_objects_where_the_output_is_json(checked):
    """A program need not take two forms apart: each line of stderr is one object, like a bad line."""
    told, result = checked("--format", "json", lines=[json.dumps(MISTYPED), "{}"])
    warning, bad, note, refusal = map(json.loads, told)
    assert warning["line"] == 1
    assert '"factors"' in warning["warning"]
    assert (bad["line"], bad["error_class"]) == (2, "missing_field")
    assert "built-in sample" in note["note"]
    assert refusal["exit_code"] == 2
    assert result == ""


def test_the_rest_of_the_warnings_is_counted_in_an_object_as_well(checked):
    """Of more lines than are told."""
    lines = [json.dumps(MISTYPED | {"event_id": f"e-{number}"}) for number in range(102)]
    told, result = checked("--format", "json", lines=lines)
    *warnings, rest, _ = map(json.loads, told)
    assert warnings[-1]["line"] == 100
    assert rest == {"warning": "2 more lines look mistyped"}
    assert json.loads(result)["mistyped"] == 102


def test_warnings_stay_text_for_people(checked):
    """As the rest of what they read."""
    told, _ = checked(lines=[json.dumps(MISTYPED)])
    assert told[0].startswith("warning: line 1: ")
    assert told[1].startswith("note: names were looked up")


def test_what_a_file_probably_is_is_a_note_in_both_forms(checked):
    """An array instead of lines, for one."""
    assert checked(lines=["[]"])[0][1].startswith("note: an event a line is wanted")
    assert json.loads(checked("--format", "json", lines=["[]"])[0][1])["note"].startswith("an event a line is wanted")
