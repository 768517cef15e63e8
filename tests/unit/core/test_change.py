"""The change event: ids that a replay repeats, lists that stay short, members that are left out."""

import pytest

from models.events import Position
from models.outcomes import Outcome
from streams.core.change import MAX_LISTED, Cause, change_id
from tests.inputs.cases import event, failed, ok, one_factor
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Partition, record_of, records_of, run_core

CAUSE = {
    "execution_id": "e1",
    "status": "completed",
    "attempt": 1,
    "event_id": "evt",
    "digest": b"\1" * 16,
    "occurred_at": 0,
    "position": Position("executions", 0, 7),
}


def id_of(processor="p", **changes):
    return change_id(Cause(**(CAUSE | changes)), processor)


def published(catalogue, *items, topic="factor-changes"):
    partition = Partition(catalogue)
    partition.take(*records_of(items))
    return partition.values(topic)


def test_an_id_is_derived_from_event_content_and_processor():
    """The place in Kafka does not matter; the event's id, its content, the processor and an erasure do."""
    identity = id_of()
    assert len(identity) == 32
    assert id_of(position=Position("other", 3, 9), occurred_at=5, attempt=2) == identity
    others = [id_of(event_id="evt2"), id_of(digest=b"\2" * 16), id_of(status="erased"), id_of("q")]
    assert len({identity, *others}) == 5


def test_the_first_change_of_a_pair_was_not_attempted_before():
    """not_attempted is only ever a previous outcome."""
    first, second = run_core(one_factor("sum"), [event("a", "requested", 1), ok("a", 2)]).changes
    assert (first.previous_outcome, second.previous_outcome) == (Outcome.NOT_ATTEMPTED, Outcome.IN_PROGRESS)


def test_factors_are_set_updated_and_cleared():
    """Before and after stand where there is a value, and factors that stay are not listed."""
    both = {name: {"reducer": "latest", "field": name} for name in ("x", "y", "z")}
    catalogue = {"processors": {"p": {"type": "application", "factors": both}}}
    changes = published(
        catalogue, ok("a", 1, {"x": 1, "y": "same"}), ok("b", 2, {"x": 1.5, "y": "same"}), ok("c", 3, {"z": True})
    )
    assert [change["changed"] for change in changes] == [
        [{"factor": "x", "op": "set", "after": 1}, {"factor": "y", "op": "set", "after": "same"}],
        [{"factor": "x", "op": "updated", "before": 1, "after": pytest.approx(1.5)}],
        [
            {"factor": "x", "op": "cleared", "before": pytest.approx(1.5)},
            {"factor": "y", "op": "cleared", "before": "same"},
            {"factor": "z", "op": "set", "after": True},
        ],
    ]


def test_true_and_1_are_different_values():
    """A factor that turns from a boolean into a number was updated."""
    catalogue = {"processors": {}}
    last = published(catalogue, ok("a", 1, {"x": True}), ok("b", 2, {"x": 1}))[-1]
    assert last["changed"] == [{"factor": "x", "op": "updated", "before": True, "after": 1}]


def test_a_second_failure_leaves_its_trace():
    """Counts alone differ: a change with nothing changed."""
    changes = published(one_factor("sum"), failed("a", 1), failed("b", 2, error=None))
    assert [change["changed"] for change in changes] == [[], []]
    assert changes[-1]["executions"]["failures"] == [
        {"execution_id": "a", "attempt": 1, "code": "TIMEOUT"},
        {"execution_id": "b", "attempt": 1},
    ]


@pytest.mark.parametrize("make", [ok, failed])
def test_lists_hold_the_latest_fifty(make):
    """Counts stay true; the lists are cut from the front and say so."""
    items = [make(f"e{number:02d}", number) for number in range(MAX_LISTED + 1)]
    *_, before, last = published(one_factor("sum"), *items)
    names = last["executions"]["contributors"] or [item["execution_id"] for item in last["executions"]["failures"]]
    assert names == [item["execution_id"] for item in items[1:]]
    assert (last["executions"]["active"], last["executions"]["truncated"]) == (MAX_LISTED + 1, True)
    assert not before["executions"]["truncated"]


def test_quality_names_the_issue_and_the_factor():
    """The causing event's issues stand in its change; those without a factor have none."""
    (change,) = published(one_factor("sum"), failed("a", 1, output={"x": 1}, supersedes="a"))
    assert change["quality"] == [{"issue": "output_ignored"}, {"issue": "supersedes_itself"}]
    (change,) = published(one_factor("sum"), ok("a", 1, {"x": None}))
    assert change["quality"] == [{"issue": "factor_null", "factor": "x"}]


def test_an_attempt_that_means_all_is_left_out():
    """A cancellation of every attempt has none in its cause."""
    causes = [change["cause"] for change in published(one_factor("sum"), ok("a", 1), event("a", "cancelled", 2))]
    assert [cause.get("attempt", "none") for cause in causes] == [1, "none"]


def test_odd_characters_are_escaped_as_json_wants_it():
    """Quotes, control characters and markup in ids, names and values come out as they went in."""
    odd = '"\\\n\x00</script>\N{BOM}\u202e'
    catalogue = {"processors": {}}
    (change,) = published(catalogue, ok(odd, 1, {odd: odd}, event_id=odd, processor=odd, application_id=odd))
    assert change["factors"] == {odd: odd}
    assert (change["application_id"], change["processor"], change["cause"]["event_id"]) == (odd, odd, odd)
    assert change["executions"]["contributors"] == [odd]


def test_the_current_factors_agree_with_the_last_change():
    """All that both records have is equal; a cleared pair is a record with no factors, not a tombstone."""
    items = [ok("a", 1), failed("a", 2, attempt=2)]
    last = published(one_factor("sum"), *items)[-1]
    (current,) = published(one_factor("sum"), *items, topic="factors")
    assert current == {name: last[name] for name in current}
    assert last.keys() - current.keys() == {"id", "previous_outcome", "changed", "cause", "quality"}
    assert (current["outcome"], current["factors"]) == ("cleared", {})


def test_a_replay_gives_the_same_ids():
    """The same events at other offsets, copies between them, have the same changes by id."""
    items = [ok("a", 1), failed("b", 2), ok("c", 3), Tombstone("app", ok("a", 1)["event_id"])]
    again = Partition(one_factor("sum"))
    again.take(*[record_of(100 + 2 * number + copy, item) for number, item in enumerate(items) for copy in (0, 1)])
    ids = [change["id"] for change in published(one_factor("sum"), *items)]
    assert [change["id"] for change in again.values("factor-changes")] == ids
    assert len({*ids}) == 4
