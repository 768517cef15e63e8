"""The fold, event by event: scenarios, quality issues, versions, erasures and limits, worked by hand."""

import pytest

from models.counts import Counts
from models.errors import BadEventError, Defect
from models.events import Position
from models.outcomes import Outcome
from models.quality import Issue, QualityIssue
from models.rows import MAX_EXECUTIONS, MAX_WEIGHT
from streams.core.fold import apply_event, erase_event, holds_event, load_pair
from tests.inputs.cases import event, failed, fold, ok, one_factor
from tests.inputs.workloads import load_catalogue
from tests.oracle.expected import Tombstone
from tests.oracle.folds import decoded, oracle_state, rules_of, run_core, state_of

SUM = one_factor("sum")
SAMPLE = load_catalogue()


def only(catalogue, *items):
    (pair,) = run_core(catalogue, items).pairs.values()
    return pair


def tallied(catalogue, *items):
    """The tally, which has to be the oracle's as well."""
    pair = only(catalogue, *items)
    (state,) = fold(catalogue, *items).pairs.values()
    assert state_of(pair, rules_of(catalogue)) == oracle_state(state)
    return pair.tally


def scenario(processor, *outputs):
    return tallied(
        SAMPLE,
        *[
            failed(f"e{n}", n, processor=processor) if factors is None else ok(f"e{n}", n, factors, processor=processor)
            for n, factors in enumerate(outputs, start=1)
        ],
    )


def test_scenario_1_averages_the_successes_only():
    """Of 10000, failed and 12000 the mean is 11000 over 2 months, and the outcome is partial."""
    tally = scenario("bank_statement", {"f_revenue_monthly": 10000}, None, {"f_revenue_monthly": 12000})
    assert tally.factors == {"f_months_analyzed": "2", "f_revenue_monthly_avg": "11000"}
    assert (tally.outcome, tally.counts) == (Outcome.PARTIAL, Counts(3, 2, 1, 2))


def test_scenario_2_clears_and_is_no_error():
    """Two failed executions are two active ones with no factors: cleared."""
    tally = scenario("credit_check", None, None)
    assert (tally.factors, tally.outcome, tally.counts) == ({}, Outcome.CLEARED, Counts(2, 0, 2, 0))


def test_scenario_3_counts_no_failed_licence():
    """Of verified, failed and verified two were processed and two verified."""
    verified = {"f_license_verified": True}
    tally = scenario("drivers_license", verified, None, verified)
    assert tally.factors == {"f_total_licenses_processed": "2", "f_verified_licenses_count": "2"}


@pytest.mark.parametrize(
    ("log", "outcomes"),
    [
        ([event("a", "requested", 1), ok("a", 2)], ["in_progress", "consolidated"]),
        ([ok("a", 1), event("a", "started", 2, attempt=2), failed("a", 3, attempt=2)], ["consolidated", "cleared"]),
        ([ok("a", 1), event("a", "cancelled", 2)], ["consolidated", "withdrawn"]),
        ([event("a", "cancelled", 1)], ["withdrawn"]),
        ([failed("a", 1), ok("b", 2, supersedes="a")], ["cleared", "consolidated"]),
        ([ok("b", 2, supersedes="a"), ok("a", 1)], ["consolidated"]),
        ([ok("a", 1, supersedes="b"), ok("b", 2, supersedes="a")], ["consolidated", "withdrawn"]),
        (
            [ok("a", 1), ok("b", 2, supersedes="a"), event("b", "cancelled", 3)],
            ["consolidated", "consolidated", "consolidated"],
        ),
    ],
)
def test_each_change_tells_the_outcome_before_and_after(log, outcomes):
    """A change is published where outcome, factors or counts differ, and each begins where the last one ended."""
    distinct = [item | {"output": {"factors": {"x": n}}} if "output" in item else item for n, item in enumerate(log)]
    changes = run_core(SUM, distinct).changes
    assert [str(change.after.outcome) for change in changes] == outcomes
    assert [str(change.previous_outcome) for change in changes] == ["not_attempted", *outcomes[:-1]]


def test_a_copy_changes_nothing_at_all():
    """The very same pair comes back: no write, no change."""
    rules = rules_of(SUM)
    first = apply_event(None, decoded(ok("a", 1)), Position("t", 0, 5), rules)
    again = apply_event(first.pair, decoded(ok("a", 1)), Position("t", 0, 6), rules)
    assert again.pair is first.pair
    assert (again.change, again.issues) == (None, ())


def test_two_contents_under_one_id_are_two_events():
    """A producer's mistake loses nothing: the greater of the two ends decides, in any order."""
    same = {"event_id": "same"}
    first, second = ok("a", 1, {"x": 1}, **same), ok("a", 2, {"x": 2}, **same)
    for log in ([first, second], [second, first]):
        pair = only(SUM, *log)
        assert (len(pair.row.executions["a"]), pair.tally.factors) == (2, {"f": "2"})


def test_an_event_that_changes_nothing_is_kept_and_not_published():
    """The row has it and knows its offset; the version stays that of the last change."""
    run = run_core(SUM, [ok("a", 1), event("a", "started", 2, attempt=2)])
    (pair,) = run.pairs.values()
    assert len(run.changes) == 1
    assert (pair.row.applied, pair.row.version, len(pair.row.executions["a"])) == (1, 0, 2)


def test_a_catalogued_row_keeps_only_what_is_read():
    """Values that no factor reads are not in the state."""
    ((entry,),) = only(SUM, ok("a", 1, {"x": 1, "other": "y"})).row.executions.values()
    assert (entry.factors, entry.contributes) == ({"x": "1"}, True)


def issues_of(*items, catalogue=SUM):
    pair = None
    rules = rules_of(catalogue)
    for offset, item in enumerate(items):
        step = apply_event(pair, decoded(item), Position("t", 0, offset), rules)
        pair = step.pair
    return step.issues


def test_superseding_itself_is_ignored_and_an_issue():
    """The execution stays active, and the event says what was odd."""
    assert issues_of(ok("a", 1, supersedes="a")) == (QualityIssue(Issue.SUPERSEDES_ITSELF),)
    assert tallied(SUM, ok("a", 1, supersedes="a")).outcome is Outcome.CONSOLIDATED


def test_the_event_that_closes_a_cycle_has_an_issue():
    """Of two or three that replace each other all are out; the last one's event says so, the others' do not."""
    cycle = [ok("a", 1, supersedes="b"), ok("b", 2, supersedes="c"), ok("c", 3, supersedes="a")]
    assert issues_of(*cycle[:2]) == ()
    assert issues_of(*cycle) == (QualityIssue(Issue.SUPERSESSION_CYCLE),)
    assert tallied(SUM, *cycle).outcome is Outcome.WITHDRAWN


def test_a_cycle_elsewhere_is_no_issue_of_this_event():
    """An execution that two of a cycle replace is not part of it, nor is one that is replaced along two ways."""
    cycle = [ok("b", 1, supersedes="a"), ok("b", 2, attempt=2, supersedes="c"), ok("c", 3, supersedes="b")]
    assert issues_of(*cycle) == (QualityIssue(Issue.SUPERSESSION_CYCLE),)
    assert issues_of(*cycle, ok("a", 4, supersedes="z")) == ()
    diamond = [ok("d", 1, supersedes="b"), ok("d", 2, supersedes="c"), ok("b", 3, supersedes="a")]
    assert issues_of(*diamond, ok("c", 4, supersedes="a"), ok("a", 5, supersedes="z")) == ()


def test_the_issues_of_acceptance_stand_in_the_change():
    """What was wrong with a factor is told, and the event counts."""
    (change,) = run_core(SUM, [ok("a", 1, {"x": "text", "y": 1})]).changes
    assert change.issues == (QualityIssue(Issue.FACTOR_WRONG_TYPE, "x"),)
    assert change.after.counts == Counts(1, 1, 0, 1)


def test_an_erasure_names_the_erased_event():
    """The change's cause is the erased event at the tombstone's place, with an id of its own."""
    second = ok("a", 2, attempt=2)
    run = run_core(SUM, [failed("a", 1), second, Tombstone("app", second["event_id"])])
    change = run.changes[-1]
    assert (change.cause.status, change.cause.attempt, change.cause.position.offset) == ("erased", 2, 2)
    assert change.cause.occurred_at == decoded(second).occurred_at
    assert change.after.outcome is Outcome.CLEARED
    assert change.id != run.changes[1].id


def test_an_erasure_of_two_contents_names_the_later():
    """Which of them arrived first does not matter."""
    first, second = ok("a", 1, event_id="same"), ok("b", 2, event_id="same")
    rules = rules_of(SUM)
    for log in ([first, second], [second, first]):
        pair = only(SUM, *log)
        step = erase_event(pair, "same", Position("t", 0, 9), rules)
        assert step.change.cause.execution_id == "b"
        assert (step.pair.row.executions, step.pair.row.weight) == ({}, 0)


def test_an_erasure_that_changes_nothing_is_not_published():
    """The event is gone from the row, which is written without a change."""
    begun = event("a", "started", 1)
    pair = only(SUM, begun, ok("a", 2))
    step = erase_event(pair, begun["event_id"], Position("t", 0, 9), rules_of(SUM))
    assert (step.change, step.pair.row.applied, step.pair.row.version) == (None, 9, pair.row.version)
    assert holds_event(pair, begun["event_id"])
    assert not holds_event(step.pair, begun["event_id"])
    assert step.pair.row.weight < pair.row.weight


def test_a_loaded_row_is_the_pair_that_was_folded():
    """What follows from a row is derived anew, and equal."""
    pair = only(SUM, ok("a", 1), failed("b", 2), ok("c", 3, supersedes="a"), event("d", "requested", 4))
    assert load_pair(pair.row, rules_of(SUM)) == pair


def test_a_full_row_takes_no_further_execution():
    """The 2,001st execution is refused; an event of a known one goes on, and an erased one makes room."""
    rules = rules_of(SUM)
    full = only(SUM, *[event(f"e{number:04d}", "requested", 0) for number in range(MAX_EXECUTIONS)])
    with pytest.raises(BadEventError) as caught:
        apply_event(full, decoded(ok("one more", 1)), Position("t", 0, 9), rules)
    assert caught.value.defect is Defect.EXECUTION_LIMIT
    assert apply_event(full, decoded(ok("e0007", 1)), Position("t", 0, 9), rules).pair.tally.factors == {"f": "1"}
    erased = event("e0007", "requested", 0)["event_id"]
    roomy = erase_event(full, erased, Position("t", 0, 9), rules).pair
    assert apply_event(roomy, decoded(ok("one more", 1)), Position("t", 0, 10), rules).pair.tally.completed == 1


@pytest.mark.parametrize("heavy", ["execution_id", "event_id", "supersedes", "factor"])
def test_a_row_that_would_be_too_heavy_takes_no_further_event(heavy):
    """Whatever is long - ids, names or values - the row stays within what a changelog record may hold."""
    rules = rules_of({"processors": {}})
    pair = None
    with pytest.raises(BadEventError) as caught:  # noqa: PT012 - which of the events is refused is the point
        for number in range(MAX_EXECUTIONS):
            # An id has 512 bytes at most; control characters weigh the most of all.
            long = f"{number}" + ("x" * 200_000 if heavy == "factor" else "\x01" * 500)
            item = ok(f"e{number}", number, {"x": long if heavy == "factor" else 1})
            item |= {} if heavy == "factor" else {heavy: long}
            pair = apply_event(pair, decoded(item), Position("t", 0, number), rules).pair
    assert caught.value.defect is Defect.EXECUTION_LIMIT
    assert MAX_WEIGHT - 250_000 < pair.row.weight <= MAX_WEIGHT
    assert len(pair.row.executions) == (7 if heavy == "factor" else len(pair.row.executions)) < MAX_EXECUTIONS
