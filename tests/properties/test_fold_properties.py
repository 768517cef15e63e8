"""Laws of the incremental fold: it equals the oracle, the batch recomputation, and itself in any order."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.weights import entry_weight
from streams.core import MERGE, ExecutionRecord, InMemoryExecutionRepository, consolidate
from streams.core.fold import Pair, load_pair
from streams.core.tally import claims_of, tally_of
from streams.partition.state.row_codec import decode_row, encode_row
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, arrivals, event_logs, event_sets
from tests.inputs.workloads import Item, numbered
from tests.oracle.expected import Tombstone, expected
from tests.oracle.folds import (
    Partition,
    Run,
    catalogue_of,
    comparable_changes,
    decoded,
    oracle_state,
    records_of,
    rules_of,
    run_core,
    state_of,
    steps,
)
from tests.oracle.rules import canonical_json

RULES = rules_of(ADVERSARIAL_CATALOGUE)
CATALOGUE = catalogue_of(ADVERSARIAL_CATALOGUE)


def erased_in(log: list[Item]) -> set[tuple[str, str]]:
    return {(item.application_id, item.event_id) for item in log if isinstance(item, Tombstone)}


def unordered(pair: Pair) -> Any:
    """A pair's set of events and what it adds up to, without where its records stood and how they came."""
    row = pair.row
    executions = {name: sorted(entries, key=lambda entry: entry.order) for name, entries in row.executions.items()}
    claims = {target: sorted(claimants) for target, claimants in pair.claims.items()}
    return row.application_id, row.processor, row.weight, executions, claims, pair.tally


def unordered_pairs(run: Run) -> dict[Any, Any]:
    return {key: unordered(pair) for key, pair in run.pairs.items()}


@given(event_logs())
def test_incremental_equals_the_oracle(log: list[Item]) -> None:
    """Every pair's state is what an independent recomputation from the design says, tombstones and all."""
    oracle = expected(ADVERSARIAL_CATALOGUE, numbered(log), changes=False)
    run = run_core(ADVERSARIAL_CATALOGUE, log)
    assert {key: state_of(pair, RULES) for key, pair in run.pairs.items()} == {
        key: oracle_state(state) for key, state in oracle.pairs.items()
    }


@given(event_logs(max_pairs=3))
def test_the_changes_are_the_oracles(log: list[Item]) -> None:
    """The worker publishes exactly the changes that the oracle derives, in order, member by member."""
    partition = Partition(ADVERSARIAL_CATALOGUE)
    partition.take(*records_of(log))
    published = partition.values("factor-changes")
    derived = expected(ADVERSARIAL_CATALOGUE, numbered(log)).changes
    assert comparable_changes(published, log) == comparable_changes(derived, log)
    assert len({change["id"] for change in published}) == len(published)


@given(event_logs())
def test_incremental_equals_the_batch(log: list[Item]) -> None:
    """The mission's consolidate() over get_active_executions() gives the factors and counts of the fold."""
    erased = erased_in(log)
    events = [decoded(item) for item in log if isinstance(item, dict)]
    repository = InMemoryExecutionRepository(
        [event for event in events if (event.application_id, event.event_id) not in erased], catalogue=CATALOGUE
    )
    for key, pair in run_core(ADVERSARIAL_CATALOGUE, log).pairs.items():
        active = repository.get_active_executions(*key)
        factors = consolidate(active, rule=CATALOGUE.processors.get(key.processor, MERGE))
        assert {name: canonical_json(value) for name, value in factors.items()} == pair.tally.factors
        assert [found.execution_id for found in active if found.status == "failed"] == [
            failure[1] for failure in pair.tally.failures
        ]
        assert len(active) == pair.tally.counts.active


@given(event_logs())
def test_the_tally_is_always_what_counting_from_scratch_gives(log: list[Item]) -> None:
    """After every single event the moved accumulators equal recomputed ones, not only their results."""
    for run in steps(ADVERSARIAL_CATALOGUE, log):
        for key, pair in run.pairs.items():
            claims = claims_of(pair.row.executions)
            assert pair.tally == tally_of(pair.row.executions, claims, RULES.of(key.processor))
            assert {target: {*claimants} for target, claimants in pair.claims.items()} == {
                target: {*claimants} for target, claimants in claims.items()
            }


@given(event_logs())
def test_a_stored_row_comes_back_as_the_same_pair(log: list[Item]) -> None:
    """Encoded, decoded and loaded again, a pair is what it was, and it weighs at least its bytes."""
    for pair in run_core(ADVERSARIAL_CATALOGUE, log).pairs.values():
        raw = encode_row(pair.row)
        loaded = load_pair(decode_row(raw), RULES)
        assert (loaded.row, loaded.tally) == (pair.row, pair.tally)
        assert unordered(loaded) == unordered(pair)
        entries = [(name, entry) for name, entries in pair.row.executions.items() for entry in entries]
        assert pair.row.weight == sum(entry_weight(entry, name) for name, entry in entries)
        assert len(raw) <= pair.row.weight + 300


@given(st.data())
def test_the_set_decides_and_not_the_order(data: st.DataObject) -> None:
    """Any order and any duplication of a set of events ends in the same state and the same row."""
    events = data.draw(event_sets())
    again = data.draw(arrivals(events))
    once, shuffled = run_core(ADVERSARIAL_CATALOGUE, events), run_core(ADVERSARIAL_CATALOGUE, again)
    assert unordered_pairs(once) == unordered_pairs(shuffled)


@given(st.data())
def test_copies_change_no_byte(data: st.DataObject) -> None:
    """Where the order is the same, copies in between publish nothing: the changes are equal but for their offsets."""
    events = data.draw(event_sets())
    log = list(events)
    for event in data.draw(st.lists(st.sampled_from(events), max_size=6)):
        log.insert(data.draw(st.integers(log.index(event) + 1, len(log))), event)
    offset_of = [log.index(event) for event in events]
    for change, copy in zip(
        run_core(ADVERSARIAL_CATALOGUE, events).changes, run_core(ADVERSARIAL_CATALOGUE, log).changes, strict=True
    ):
        assert offset_of[change.cause.position.offset] == copy.cause.position.offset
        assert (change.id, change.before, change.after, change.issues) == (
            copy.id,
            copy.before,
            copy.after,
            copy.issues,
        )


@given(event_sets())
def test_without_any_failure_the_old_strategy_is_unchanged(events: list[dict[str, Any]]) -> None:
    """The query that left failed executions out gives the same result where there are none: backward compatible."""
    without = [decoded(event) for event in events if event["status"] != "failed"]
    repository = InMemoryExecutionRepository(without, catalogue=CATALOGUE)
    for application_id, processor in {(event.application_id, event.processor) for event in without}:
        rule = CATALOGUE.processors.get(processor, MERGE)
        active = repository.get_active_executions(application_id, processor)
        old = [execution for execution in active if execution.status == "completed"]
        assert consolidate(active, rule=rule) == consolidate(old, rule=rule)
        if rule is MERGE:
            assert consolidate(active) == old_consolidate(old)


@given(event_sets())
def test_failed_executions_add_nothing_to_the_factors(events: list[dict[str, Any]]) -> None:
    """Of the active executions the completed ones alone give the factors, for every processor type and policy."""
    repository = InMemoryExecutionRepository(map(decoded, events), catalogue=CATALOGUE)
    for application_id, processor in {(event["application_id"], event["processor"]) for event in events}:
        rule = CATALOGUE.processors.get(processor, MERGE)
        active = repository.get_active_executions(application_id, processor)
        completed = [execution for execution in active if execution.status == "completed"]
        assert consolidate(active, rule=rule) == consolidate(completed, rule=rule)


def old_consolidate(executions: list[ExecutionRecord]) -> dict[str, Any]:
    """What the strategy calls current: successes only, ``update`` in their order; nulls were never contributed."""
    consolidated: dict[str, Any] = {}
    for execution in executions:
        if execution.output:
            factors = execution.output.get("factors", {})
            consolidated.update({name: value for name, value in factors.items() if value is not None})
    return consolidated
