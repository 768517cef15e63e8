"""What the worker counts and logs of events: quality issues by their kind, names and never values."""

import json

import pytest

from models.events import Position
from models.quality import Issue, QualityIssue
from streams.runtime.logs import EventLog
from streams.worker.logging_observer import LoggingObserver
from tests.inputs.cases import failed, ok
from tests.oracle.folds import decoded

POSITION = Position("executions", 2, 7)


@pytest.fixture
def observer():
    return LoggingObserver(EventLog("info", "json"))


def test_quality_issues_are_counted_by_kind_and_logged_by_name(observer, capsys):
    """Factors that a name loses are seen in the log and in the counts, with the member's name and no value."""
    event = decoded(ok("a", 1, {"x": "CANARY"}))
    issues = (
        QualityIssue(Issue.FACTORS_MISPLACED, "outputs"),
        QualityIssue(Issue.FACTORS_MISPLACED, "output.factor"),
        QualityIssue(Issue.NO_DECLARED_FIELD),
    )
    observer.folded([(event, POSITION, found, False) for found in (issues, issues[2:], ())])
    observer.batch_ended()
    counts = observer.counts
    assert (counts["completed"], counts["quality_factors_misplaced"], counts["quality_no_declared_field"]) == (3, 2, 2)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["issues"] == ["factors_misplaced:outputs", "factors_misplaced:output.factor", "no_declared_field"]
    assert second["issues"] == ["no_declared_field"]
    assert "CANARY" not in json.dumps([first, second])
    assert (first["partition"], first["offset"]) == (2, 7)


def test_a_processor_without_rules_is_logged_once_and_counted(observer, capsys):
    """A misspelt name is seen, and names without end do not fill the log."""
    for name in ["Pay_Stub", "Pay_Stub", *map(str, range(200))]:
        observer.undeclared(decoded(ok("a", 1, processor=name)), POSITION)
    observer.batch_ended()
    assert observer.counts["undeclared_processor"] == 202
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["processor"] for line in lines] == ["Pay_Stub", *map(str, range(99))]


def test_a_failed_execution_is_logged_once_however_often_its_event_is_published(observer, capsys):
    """A copy is counted and says nothing: a producer that sends everything twice has had no more failures."""
    event = decoded(failed("a", 1))
    observer.folded([(event, POSITION, (), False), (event, Position("executions", 2, 8), (), True)])
    observer.batch_ended()
    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["event"].startswith("execution failed")
    assert line["offset"] == 7
    assert observer.counts["failed"] == 2
