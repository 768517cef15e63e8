"""The oracle's executions against cases worked by hand, from the design and the strategy alone."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inputs.cases import event, failed, fold, ok, one_factor, state
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, arrivals, event_logs, event_sets
from tests.inputs.workloads import Item, load_catalogue, numbered
from tests.oracle.executions import PairState, content_digest
from tests.oracle.expected import PairKey, SourceRecord, Tombstone, expected
from tests.oracle.rules import canonical_json

SCENARIOS: dict[str, Any] = {
    "processors": {
        "bank_statement": {
            "type": "document",
            "factors": {
                "f_revenue_monthly_avg": {"reducer": "mean", "field": "f_revenue_monthly"},
                "f_months_analyzed": {"reducer": "count", "field": "f_revenue_monthly"},
            },
        },
        "credit_check": {
            "type": "application",
            "factors": {"f_credit_score": {"reducer": "latest", "field": "f_credit_score"}},
        },
        "drivers_license": {
            "type": "document",
            "factors": {
                "f_verified_licenses_count": {"reducer": "count_true", "field": "f_license_verified"},
                "f_total_licenses_processed": {"reducer": "count", "field": "f_license_verified"},
            },
        },
    }
}


def scenario(processor: str, *outputs: Any) -> PairState:
    """The mission's executions in a row; None stands for a failed one."""
    items = [
        failed(f"e{n}", n, processor=processor) if factors is None else ok(f"e{n}", n, factors, processor=processor)
        for n, factors in enumerate(outputs, start=1)
    ]
    return state(SCENARIOS, *items)


def test_scenario_1_averages_the_successes_only() -> None:
    """Of 10000, failed and 12000 the mean is 11000 over 2 months, and the outcome is partial."""
    found = scenario("bank_statement", {"f_revenue_monthly": 10000}, None, {"f_revenue_monthly": 12000})
    assert canonical_json(found.factors) == '{"f_months_analyzed":2,"f_revenue_monthly_avg":11000}'
    assert (found.outcome, found.counts) == ("partial", (3, 2, 1, 2))


def test_scenario_2_clears_and_is_no_error() -> None:
    """Two failed executions are two active ones with no factors: cleared."""
    found = scenario("credit_check", None, None)
    assert (found.factors, found.outcome, found.counts) == ({}, "cleared", (2, 0, 2, 0))


def test_scenario_3_counts_no_failed_licence() -> None:
    """Of verified, failed and verified two were processed and two verified."""
    found = scenario("drivers_license", {"f_license_verified": True}, None, {"f_license_verified": True})
    assert canonical_json(found.factors) == '{"f_total_licenses_processed":2,"f_verified_licenses_count":2}'
    assert (found.outcome, found.processor_type) == ("partial", "document")


def test_a_change_tells_everything() -> None:
    """The clearing retry's change names what was, what is, who contributes, who failed and which record caused it."""
    first = ok("e1", 1, {"x": Decimal("7.10")})
    second = failed("e1", 2, attempt=2)
    found = fold(one_factor("sum"), first, second)
    assert found.changes[1] == {
        "application_id": "app",
        "processor": "p",
        "processor_type": "document",
        "outcome": "cleared",
        "previous_outcome": "consolidated",
        "changed": [{"factor": "f", "op": "cleared", "before": Decimal("7.1")}],
        "factors": {},
        "executions": {
            "active": 1,
            "completed": 0,
            "failed": 1,
            "contributing": 0,
            "contributors": [],
            "failures": [{"execution_id": "e1", "attempt": 2, "code": "TIMEOUT"}],
            "truncated": False,
        },
        "cause": {
            "execution_id": "e1",
            "status": "failed",
            "attempt": 2,
            "event_id": second["event_id"],
            "topic": "executions",
            "partition": 0,
            "offset": 1,
        },
        "version": {"partition": 0, "offset": 1},
        "occurred_at": "2025-03-03T09:00:02.000000Z",
    }
    assert found.changes[0]["changed"] == [{"factor": "f", "op": "set", "after": Decimal("7.1")}]


def test_changes_are_published_for_outcome_factors_or_counts() -> None:
    """A second failure leaves its trace with nothing changed; a later attempt's start and a new failure code do not."""
    found = fold(
        one_factor("sum"),
        event("a", "requested", 1),
        event("a", "started", 2),
        failed("a", 3),
        failed("b", 4),
        event("b", "started", 5, attempt=2),
        failed("b", 6, attempt=2, error={"code": "OTHER"}),
    )
    assert [(c["version"]["offset"], c["previous_outcome"], c["outcome"], c["changed"]) for c in found.changes] == [
        (0, "not_attempted", "in_progress", []),
        (2, "in_progress", "cleared", []),
        (3, "cleared", "cleared", []),
    ]


def test_an_equal_number_in_another_writing_changes_nothing() -> None:
    """12 and 12.00 are the same factor; true and 1 are not."""
    merge: dict[str, Any] = {"processors": {}}
    values: list[Any] = [12, Decimal("12.00"), True, 1]
    found = fold(merge, *[ok("e", n, {"x": value}, attempt=n + 1) for n, value in enumerate(values)])
    assert [c["changed"][0].get("after") for c in found.changes] == [12, True, 1]


def test_a_retry_in_progress_clears_nothing() -> None:
    """An end stays an end while a later attempt is only requested or started."""
    found = state(
        one_factor("sum"), ok("a", 1), event("a", "requested", 2, attempt=2), event("a", "started", 3, attempt=2)
    )
    assert (found.outcome, found.factors) == ("consolidated", {"f": 1})


def test_the_end_is_the_greatest_by_attempt_sequence_time_and_id() -> None:
    """Attempt goes before sequence, an absent sequence is below 0, then the time decides, and the event_id at last."""

    def factor(*items: Item) -> Any:
        assert state(one_factor("latest"), *items) == state(one_factor("latest"), *reversed(items))
        return state(one_factor("latest"), *items).factors["f"]

    assert factor(ok("a", 9, {"x": 1}, attempt=1, sequence=9), ok("a", 1, {"x": 2}, attempt=2)) == 2
    assert factor(ok("a", 9, {"x": 1}), ok("a", 1, {"x": 2}, sequence=0)) == 2
    assert factor(ok("a", 9, {"x": 1}, event_id="e1"), ok("a", 1, {"x": 2}, event_id="e2")) == 1
    assert factor(ok("a", 1, {"x": 1}, event_id="e2"), ok("a", 1, {"x": 2}, event_id="e10")) == 1


@pytest.mark.parametrize(
    ("closing", "outcome"),
    [
        ({}, "withdrawn"),
        ({"attempt": None}, "withdrawn"),
        ({"attempt": 2}, "withdrawn"),
        ({"attempt": 1}, "consolidated"),
    ],
)
@pytest.mark.parametrize("status", ["superseded", "cancelled"])
def test_closing_reaches_its_attempt(status: str, closing: dict[str, Any], outcome: str) -> None:
    """Superseded and cancelled close the end's attempt and those before; omitted means all attempts."""
    assert state(one_factor("sum"), ok("a", 1, attempt=2), event("a", status, 2, **closing)).outcome == outcome


def test_without_an_end_closing_must_reach_every_attempt_seen() -> None:
    """An execution whose second attempt was requested is not closed by the first attempt's cancellation."""
    seen = event("a", "requested", 1, attempt=2)
    assert state(one_factor("sum"), seen, event("a", "cancelled", 2, attempt=1)).outcome == "in_progress"
    assert state(one_factor("sum"), seen, event("a", "cancelled", 2, attempt=2)).outcome == "withdrawn"
    assert state(one_factor("sum"), event("a", "cancelled", 2, attempt=1)).outcome == "withdrawn"


def test_a_closed_failure_is_not_active() -> None:
    """Of a success and a superseded failure the success alone is left: consolidated."""
    found = state(one_factor("sum"), ok("a", 1), failed("b", 2), event("b", "superseded", 3))
    assert (found.outcome, found.counts) == ("consolidated", (1, 1, 0, 1))


def test_of_a_chain_only_the_last_is_left() -> None:
    """A ← B ← C: the evicted B still evicts A, in any order of arrival, and so does a superseded B."""
    chain = [ok("a", 1, {"x": 1}), ok("b", 2, {"x": 2}, supersedes="a"), ok("c", 3, {"x": 4}, supersedes="b")]
    assert state(one_factor("sum"), *chain).factors == {"f": 4}
    assert state(one_factor("sum"), *reversed(chain)).factors == {"f": 4}
    assert state(one_factor("sum"), *chain[:2], event("b", "superseded", 9)).outcome == "withdrawn"


def test_an_evictor_needs_an_end_and_no_cancellation() -> None:
    """A started rerun evicts nothing yet, a cancelled one gives its target back, and a later attempt takes it again."""
    first, begun = ok("a", 1, {"x": 1}), event("b", "started", 2, supersedes="a")
    ended = ok("b", 3, {"x": 2})
    cancelled = event("b", "cancelled", 4, attempt=1)
    assert state(one_factor("sum"), first, begun).factors == {"f": 1}
    assert state(one_factor("sum"), first, begun, ended).factors == {"f": 2}
    assert state(one_factor("sum"), first, begun, ended, cancelled).factors == {"f": 1}
    again = ok("b", 5, {"x": 3}, attempt=2)
    assert state(one_factor("sum"), first, begun, ended, cancelled, again).factors == {"f": 3}


def test_a_failed_rerun_replaces_or_keeps() -> None:
    """Under replace a failed rerun clears; under keep_previous its target stays beside the failure."""
    items = [ok("a", 1, {"x": 1}), failed("b", 2, supersedes="a")]
    replaced, kept = state(one_factor("sum"), *items), state(one_factor("sum", policy="keep_previous"), *items)
    assert (replaced.outcome, replaced.factors) == ("cleared", {})
    assert (kept.outcome, kept.factors) == ("partial", {"f": 1})


def test_a_cycle_is_all_out_and_itself_is_nothing() -> None:
    """Two that name each other are both evicted; one that names itself stays."""
    assert state(one_factor("sum"), ok("a", 1, supersedes="b"), ok("b", 2, supersedes="a")).outcome == "withdrawn"
    assert state(one_factor("sum"), ok("a", 1, supersedes="a")).outcome == "consolidated"


def test_a_target_not_yet_seen_is_remembered() -> None:
    """An execution that arrives after its evictor never becomes active."""
    found = fold(one_factor("sum"), ok("b", 2, {"x": 2}, supersedes="a"), ok("a", 1, {"x": 1}))
    assert [change["factors"] for change in found.changes] == [{"f": 2}]


def test_a_copy_is_the_same_event() -> None:
    """A copy changes nothing; unknown fields, the zone's writing and a missing id make no other event of it."""
    first = ok("a", 1)
    assert len(fold(one_factor("sum"), first, first, first | {"trace": "x"}).changes) == 1
    nameless = {name: value for name, value in first.items() if name != "event_id"}
    elsewhere = nameless | {"occurred_at": "2025-03-03T10:00:01.000+01:00", "attempt": 1}
    found = fold(one_factor("sum"), nameless, elsewhere)
    assert [change["cause"]["event_id"] for change in found.changes] == [content_digest(nameless)]


def test_a_tombstone_erases_one_event() -> None:
    """The execution falls back to its other end, the cause is the erased event, and a late copy is ignored."""
    kept, erased = failed("a", 1), ok("a", 2, attempt=2)
    found = fold(one_factor("sum"), kept, erased, Tombstone("app", erased["event_id"]), erased)
    assert [c["outcome"] for c in found.changes] == ["cleared", "consolidated", "cleared"]
    last = found.changes[-1]
    assert last["cause"] == {
        "execution_id": "a",
        "status": "erased",
        "attempt": 2,
        "event_id": erased["event_id"],
        "topic": "executions",
        "partition": 0,
        "offset": 2,
    }
    assert last["occurred_at"] == "2025-03-03T09:00:02.000000Z"


def test_a_pair_whose_events_were_all_erased_is_withdrawn() -> None:
    """Nothing is left, and the pair is still known."""
    only = ok("a", 1)
    found = fold(one_factor("sum"), only, Tombstone("app", only["event_id"]), Tombstone("app", "never seen"))
    assert found.pairs[PairKey("app", "p")].outcome == "withdrawn"
    assert [c["outcome"] for c in found.changes] == ["consolidated", "withdrawn"]


def test_erasing_a_close_or_a_supersession_gives_back_what_it_took() -> None:
    """With the cancellation gone the execution is active again; with the supersession gone so is its target."""
    first, second = ok("a", 1, {"x": 1}), ok("b", 2, {"x": 2})
    cancel = event("a", "cancelled", 3)
    assert state(one_factor("sum"), first, cancel, Tombstone("app", cancel["event_id"])).factors == {"f": 1}
    naming = event("b", "started", 1, supersedes="a")
    assert state(one_factor("sum"), first, naming, second, Tombstone("app", naming["event_id"])).factors == {"f": 3}


def test_a_tombstone_without_an_attempt_has_none_in_its_cause() -> None:
    """A cancellation of all attempts has no attempt, erased or not."""
    cancel = event("a", "cancelled", 3)
    found = fold(one_factor("sum"), ok("a", 1), cancel, Tombstone("app", cancel["event_id"]))
    assert [c["cause"].get("attempt", "none") for c in found.changes] == [1, "none", "none"]


def test_the_execution_limit() -> None:
    """The 2,001st execution of a pair is a dead letter; a known one goes on, and other pairs are not concerned."""
    full = [event(f"e{number:04d}", "requested", 0) for number in range(2_000)]
    found = expected(
        one_factor("sum"),
        numbered([*full, ok("one more", 1), ok("e0007", 2, {"x": 5}), ok("one more", 3, processor="other")]),
        changes=False,
    )
    assert [(record.offset, type(record)) for record in found.dead_letters] == [(2_000, SourceRecord)]
    assert found.pairs[PairKey("app", "p")].factors == {"f": 5}
    assert found.pairs[PairKey("app", "other")].outcome == "consolidated"


def test_long_lists_keep_the_latest() -> None:
    """Of 51 contributors the last 50 in execution order are listed; the counts stay true."""
    many = [ok(f"e{number:02d}", number) for number in range(51)]
    executions = state(one_factor("sum"), *reversed(many), failed("f", 99)).executions
    assert executions["contributors"] == [f"e{number:02d}" for number in range(1, 51)]
    assert (executions["contributing"], len(executions["failures"]), executions["truncated"]) == (51, 1, True)
    assert not state(one_factor("sum"), *many[1:]).executions["truncated"]


def test_a_failure_without_an_error_has_no_code() -> None:
    """The code is left out where it is unknown."""
    found = state(one_factor("sum"), failed("a", 1, error=None))
    assert found.executions["failures"] == [{"execution_id": "a", "attempt": 1}]


@given(st.data())
def test_the_set_decides_and_not_the_order(data: st.DataObject) -> None:
    """Any order and any duplication of a set of events ends in the same state of every pair."""
    events = data.draw(event_sets())
    again = data.draw(arrivals(events))
    assert fold(ADVERSARIAL_CATALOGUE, *events).pairs == fold(ADVERSARIAL_CATALOGUE, *again).pairs


@given(event_logs())
def test_the_changes_add_up_to_the_state(log: list[Item]) -> None:
    """Applied one after the other, the changed factors give the factors, and the last change is the state."""
    records = numbered(log)
    found = expected(ADVERSARIAL_CATALOGUE, records)
    built: dict[PairKey, dict[str, Any]] = {}
    for change in found.changes:
        factors = built.setdefault(PairKey(change["application_id"], change["processor"]), {})
        for changed in change["changed"]:
            assert factors.pop(changed["factor"], None) == changed.get("before")
            if "after" in changed:
                factors[changed["factor"]] = changed["after"]
        assert factors == change["factors"]
    assert built == {key: pair.factors for key, pair in found.pairs.items()}
    assert expected(ADVERSARIAL_CATALOGUE, records, changes=False).pairs == found.pairs


def test_the_sample_catalogue_gives_the_scenarios() -> None:
    """The shipped file says of the scenarios' processors what this file says."""
    sample = load_catalogue()["processors"]
    for name, spec in SCENARIOS["processors"].items():
        assert sample[name]["type"] == spec["type"]
        assert {
            factor: (declared["reducer"], declared["field"]) for factor, declared in sample[name]["factors"].items()
        } == {factor: (wanted["reducer"], wanted["field"]) for factor, wanted in spec["factors"].items()}
