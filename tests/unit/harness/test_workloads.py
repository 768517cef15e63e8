"""The generators are worth believing: seeded, valid, of the promised size and mixture."""

from collections import Counter
from statistics import mean

from tests.inputs.design_workload import MAX_EXECUTIONS_PER_PAIR, design_workload
from tests.inputs.workloads import Rates, believable, load_catalogue, numbered, parse_json, to_json
from tests.oracle.executions import content_digest
from tests.oracle.expected import Tombstone, expected


def test_a_seed_gives_the_same_bytes() -> None:
    """Two runs of a seed agree, and another seed does not."""
    assert list(design_workload(2_000, 100, seed=5)) == list(design_workload(2_000, 100, seed=5))
    assert list(design_workload(2_000, 100, seed=5)) != list(design_workload(2_000, 100, seed=6))
    assert believable(5, 20) == believable(5, 20)
    assert believable(5, 20) != believable(6, 20)


def test_the_design_workload_is_the_designs() -> None:
    """Events are about 450 bytes of plain JSON under their canonical key, and a fifth of the ends are failures."""
    messages = list(design_workload(20_000, 1_000))
    events = [parse_json(message.value) for message in messages]
    statuses = Counter(event["status"] for event in events)
    assert 430 < mean(len(message.value) for message in messages) < 470
    assert 0.18 < statuses["failed"] / (statuses["failed"] + statuses["completed"]) < 0.22
    assert all(
        m.key.decode() == f"{e['application_id']}/{e['event_id']}" for m, e in zip(messages, events, strict=True)
    )
    assert len({message.key for message in messages}) == len(messages)


def test_a_hot_key_stays_within_the_execution_limit() -> None:
    """Under a zipf load one application has a large share, and none of its rows is full."""
    events = [parse_json(message.value) for message in design_workload(30_000, 3, zipf=2.0)]
    shares = Counter(event["application_id"] for event in events)
    assert shares["app-000000"] > 0.5 * len(events)
    executions = {(e["application_id"], e["processor"], e["execution_id"]) for e in events}
    assert max(Counter(pair[:2] for pair in executions).values()) <= MAX_EXECUTIONS_PER_PAIR


def test_believable_events_show_everything_that_goes_wrong() -> None:
    """Every outcome, copies, late arrivals, nameless events, tombstones and an unknown processor occur."""
    items = believable(11, 400, rates=Rates(erased=0.02, missing_event_id=0.01))
    events = [item for item in items if not isinstance(item, Tombstone)]
    found = expected(load_catalogue(), numbered(items, partitions=4))
    assert not found.dead_letters
    assert {state.outcome for state in found.pairs.values()} == {
        "in_progress",
        "withdrawn",
        "consolidated",
        "partial",
        "cleared",
    }
    assert {state.processor_type for state in found.pairs.values()} == {"document", "application", "stipulation", None}
    assert {change["cause"]["status"] for change in found.changes} >= {"erased", "superseded", "cancelled"}
    assert any("event_id" not in event for event in events)
    assert len({to_json(event) for event in events}) < len(events)
    assert [parse_json(to_json(event)) for event in events] == events


def test_an_event_id_has_one_content() -> None:
    """No two contents share an event_id, not even across pairs."""
    contents = {
        (item["application_id"], item["event_id"], content_digest(item))
        for item in believable(12, 200)
        if not isinstance(item, Tombstone) and "event_id" in item
    }
    assert len({content[:2] for content in contents}) == len(contents)
