"""What the benchmarks publish, and the reference that every side is compared with."""

import json

import pytest

from benchmarks.load.workload import Workload, applications_for, one_each
from benchmarks.report.results import differences
from benchmarks.sides.plain_consolidation import change_of, counted, empty_row, reference
from models.events import Position
from streams.core.rules import Rules
from streams.replay.in_memory import ReplayFold
from streams.rulesets.catalogue_file import load_catalogue
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import parse_json
from topics.records.decoding import decode_event


def test_the_default_workload_is_the_designs() -> None:
    """Without arguments the very bytes of the design's workload come out."""
    assert list(Workload(1_000, 50).messages()) == list(design_workload(1_000, 50))


def test_events_are_filled_up_to_a_size() -> None:
    """Every event has at least nearly the size, stays JSON, and says the same as before."""
    plain, padded = (list(Workload(300, 20, event_bytes=size).messages()) for size in (None, 900))
    assert all(890 < len(message.value) <= 900 for message in padded)
    for before, after in zip(plain, padded, strict=True):
        event = parse_json(after.value)
        assert event.pop("filler")
        assert event == parse_json(before.value)


@pytest.mark.parametrize("failure_rate", [0.0, 0.2, 0.6])
def test_the_failure_rate_is_that_of_the_ends(failure_rate: float) -> None:
    """As many attempts fail as were asked for."""
    statuses = [parse_json(m.value)["status"] for m in Workload(20_000, 500, failure_rate=failure_rate).messages()]
    failed, completed = statuses.count("failed"), statuses.count("completed")
    assert failed / (failed + completed) == pytest.approx(failure_rate, abs=0.02)


def test_rows_get_as_many_executions_as_were_asked_for() -> None:
    """The number of applications follows from the executions that each of their rows shall have."""
    applications = applications_for(20, events=30_000, processors=1)
    events = [parse_json(m.value) for m in Workload(30_000, applications, processors=1).messages()]
    assert {event["processor"] for event in events} == {"bank_statement"}
    executions = {(event["application_id"], event["execution_id"]) for event in events}
    # Those in flight are not through with their events.
    assert len(executions) / applications == pytest.approx(20, rel=0.1)


def test_too_few_applications_are_refused() -> None:
    """A workload that no row has room for ends with an error, not never."""
    with pytest.raises(ValueError, match="1 applications are too few"):
        list(Workload(10_000, 1, processors=1).messages())


def test_the_state_is_filled_with_each_application_once() -> None:
    """Every application has one completed execution of its own event."""
    events = [parse_json(message.value) for message in one_each(50)]
    assert len({event["application_id"] for event in events}) == len({event["event_id"] for event in events}) == 50
    assert {event["status"] for event in events} == {"completed"}


def test_the_reference_and_the_product_agree() -> None:
    """The peers' plain consolidation comes to the factors that the replay of the same events comes to."""
    lines = [message.value for message in Workload(6_000, 150, zipf=0.8, failure_rate=0.4).messages()]
    expected = reference(json.loads(line) for line in lines)
    assert any(factors for factors in expected.values())
    fold = ReplayFold(Rules(load_catalogue(None)))
    for number, line in enumerate(lines):
        fold.apply(decode_event(line, max_bytes=10_000), Position("executions", 0, number))
    found = {
        (pair.application_id, pair.processor): {name: json.loads(text) for name, text in pair.factors.items()}
        for pair in fold.summaries()
    }
    assert differences(expected, found) == []


def test_a_change_is_told_only_where_factors_or_counts_differ() -> None:
    """Requests and starts tell nothing; a completed execution does, and a failed one without any factors."""
    row = empty_row()
    events = [parse_json(message.value) for message in Workload(400, 1, processors=1).messages()]
    told = [(event["status"], change_of(row, event)) for event in events]
    assert {status for status, change in told if change is not None} == {"completed", "failed"}
    assert {status for status, change in told if change is None} >= {"requested", "started"}
    _, last = told[-1]
    assert row["counts"] == counted(row)
    assert last is None or last["executions"] == row["counts"]
