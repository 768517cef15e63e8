"""Counts of events and changes: through the real fold, bounded by names, and consistent with each other."""

from types import SimpleNamespace

import pytest

from models.errors import BadEventError, Defect
from models.events import Status
from models.outcomes import Outcome
from models.rows import MAX_EXECUTIONS
from streams.runtime.logs import EventLog
from streams.worker.logging_observer import LoggingObserver
from streams.worker.measuring.counts import EventCounts
from tests.inputs.cases import failed, ok, one_factor
from tests.oracle.folds import Partition, Record, decoded, records_of


@pytest.fixture
def observer():
    return LoggingObserver(EventLog("error", "json"), EventCounts({"p": 1}))


def value(counts, metric, *labels):
    return dict(counts.values()[metric])[labels]


def test_events_of_a_real_fold_are_counted_by_what_became_of_them(observer):
    """Executions, failures by code, changes by outcome, completeness, copies and dead letters."""
    events = [ok("a", 1, {"x": 1}), failed("b", 2), ok("a", 1, {"x": 1})]
    partition = Partition(one_factor("sum"), observer=observer)
    partition.take(*records_of(events), Record(3, b"app/x", b"nonsense"))
    counts = observer.counted
    assert (counts.folded, counts.copies, counts.failures, counts.dead_letters, counts.changes) == (2, 1, 1, 1, 2)
    assert value(counts, "consolidator_events_total", "folded") == 2
    assert value(counts, "consolidator_events_total", "copy") == 1
    assert value(counts, "consolidator_executions_total", "p", "completed") == 1
    assert value(counts, "consolidator_executions_total", "p", "failed") == 1
    assert value(counts, "consolidator_executions_total", "p", "started") == 0
    assert value(counts, "consolidator_changes_total", "p", "consolidated") == 1
    assert value(counts, "consolidator_changes_total", "p", "partial") == 1
    assert value(counts, "consolidator_consolidations_total", "p", "with_factors") == 2
    assert value(counts, "consolidator_consolidations_total", "p", "without_factors") == 0
    assert value(counts, "consolidator_consolidations_total", "unknown", "rejected") == 1
    assert value(counts, "consolidator_factors_expected_total", "p") == 2
    assert value(counts, "consolidator_factors_present_total", "p") == 2
    assert observer.counts["completed"] == 2


def test_a_failed_execution_alone_succeeds_without_factors(observer):
    """That is what this project is about: the consolidation succeeded, and completeness shows what is missing."""
    Partition(one_factor("sum"), observer=observer).take(*records_of([failed("b", 2)]))
    counts = observer.counted
    assert value(counts, "consolidator_changes_total", "p", "cleared") == 1
    assert value(counts, "consolidator_consolidations_total", "p", "without_factors") == 1
    assert value(counts, "consolidator_consolidations_total", "p", "rejected") == 0
    assert value(counts, "consolidator_factors_expected_total", "p") == 1
    assert value(counts, "consolidator_factors_present_total", "p") == 0


def test_zeros_are_there_from_the_beginning(observer):
    """So that the first failure is an increase: of every processor of the catalogue, status, outcome and reason."""
    found = observer.counted.values()
    assert dict(found["consolidator_execution_failures_total"]) == {("p", "none"): 0.0}
    assert len(found["consolidator_executions_total"]) == len(Status)
    assert len(found["consolidator_dead_letters_total"]) == len(Defect)


def test_names_without_end_are_counted_together():
    """A producer may invent processors and codes: a hundred and fifty of them have labels of their own."""
    counts = EventCounts({"p": 1})
    for number in range(150):
        counts.of(f"q{number}").by_status[Status.STARTED] += 1
        counts.of("p").failed(f"code-{number}")
    counts.of("p").failed(None)
    executions = dict(counts.values()["consolidator_executions_total"])
    assert len({processor for processor, _ in executions}) == 102
    assert executions["other", "started"] == 50
    failures = dict(counts.values()["consolidator_execution_failures_total"])
    assert len([code for processor, code in failures if processor == "p"]) == 51
    assert failures["p", "other"] == 101
    assert counts.folded == 150


@pytest.mark.parametrize("name", ["other", "unknown"])
@pytest.mark.parametrize("declared", [{}, {"other": 3, "unknown": 3}])
def test_a_processor_that_is_called_as_a_label_is_one_of_the_others(name, declared):
    """Otherwise there would be two series with the same labels, in a catalogue's processors as in a producer's."""
    counts = EventCounts({"p": 1} | declared)
    assert ("other", "started") not in dict(counts.values()["consolidator_executions_total"])
    counts.of(name).by_status[Status.STARTED] += 1
    counts.rejected(BadEventError(Defect.EMPTY, "any"))
    named = BadEventError(Defect.EMPTY, "any")
    named.processor = name
    counts.rejected(named)
    for number in range(150):
        counts.of(f"q{number}").by_status[Status.STARTED] += 1
    assert value(counts, "consolidator_executions_total", "other", "started") == 51
    assert value(counts, "consolidator_consolidations_total", "other", "rejected") == 1
    assert value(counts, "consolidator_consolidations_total", "unknown", "rejected") == 1
    assert counts.folded == 151
    for metric, found in counts.values().items():
        assert len(dict(found)) == len(found), metric


def test_one_reserved_name_is_enough_for_others_to_be_shown():
    """Whatever is counted is shown, and the sums agree with the parts."""
    counts = EventCounts({"p": 1})
    counts.of("unknown").by_status[Status.STARTED] += 1
    assert value(counts, "consolidator_executions_total", "other", "started") == counts.folded == 1


class ReadMeanwhile(dict):
    """Outcomes during whose reading something happens."""

    def __init__(self, outcomes, happens):
        super().__init__(outcomes)
        self._happens = happens

    def __getitem__(self, outcome):
        found = super().__getitem__(outcome)
        if outcome is Outcome.CLEARED:
            self._happens()
        return found


def change(outcome, factors):
    """A change in the output of a batch, with the key of its row."""
    return b"key", SimpleNamespace(processor="p", after=SimpleNamespace(outcome=outcome, factors=factors))


def test_a_change_between_two_readings_lets_no_count_fall():
    """Another thread reads while the event loop counts: Prometheus takes a fall for a restart."""
    counts = EventCounts({"p": 1})
    counts.changed([change(Outcome.CLEARED, {}), change(Outcome.IN_PROGRESS, {})])
    assert value(counts, "consolidator_consolidations_total", "p", "without_factors") == 1
    of_p = counts.of("p")
    of_p.outcomes = ReadMeanwhile(of_p.outcomes, lambda: counts.changed([change(Outcome.CONSOLIDATED, {"x": 1})]))
    assert value(counts, "consolidator_consolidations_total", "p", "without_factors") == 1
    assert of_p.with_factors > 0


def test_a_dead_letter_of_an_event_that_could_be_read_names_its_processor(observer):
    """It is this processor whose consolidation was rejected: here an execution's row would become too large."""
    partition = Partition(one_factor("sum"), observer=observer)
    events = [ok(f"e{number}", number) for number in range(MAX_EXECUTIONS + 1)]
    partition.take(*records_of(events))
    counts = observer.counted
    assert value(counts, "consolidator_consolidations_total", "p", "rejected") == 1
    assert value(counts, "consolidator_consolidations_total", "unknown", "rejected") == 0
    assert value(counts, "consolidator_dead_letters_total", "execution_limit") == 1


def test_quality_issues_are_counted_by_processor(observer):
    """A copy has them, too, and is what was odd once more."""
    event = ok("a", 1, {"x": "no number"})
    Partition(one_factor("sum"), observer=observer).take(*records_of([event]))
    assert decoded(event).processor == "p"
    found = dict(observer.counted.values()["consolidator_quality_issues_total"])
    assert found["p", "factor_wrong_type"] == 1
    assert found["p", "factor_null"] == 0
