"""Where a subscription begins: a snapshot, the beginning, a time, positions and a token; what a filter leaves out."""

from datetime import UTC, datetime

import pytest

import consolidator
from consolidator import BEGINNING, CaughtUp, Changed, Current, Erased, SnapshotEnd, partition_of
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.subscribing import View, Watched, yielded
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

APPLICATIONS = [f"app-{number}" for number in range(12)]


@pytest.fixture
def filled(published):
    """Three changes of each of twelve applications."""
    for _ in range(3):
        published.change(*APPLICATIONS)
    return published


def versions(items, kind):
    """The application and the version of each item of a kind, in their order."""
    members = {Current: "factors", Changed: "change"}
    values = [getattr(item, members[kind]) for item in items if isinstance(item, kind)]
    return [(one.application_id, one.version.offset) for one in values]


def test_a_snapshot_and_then_what_comes(filled, subscribed, is_async):
    """The current factors of each pair come, then SnapshotEnd and CaughtUp, and then each change as it comes."""
    with Watched(subscribed(), is_async=is_async) as watched:
        watched.wait_kind(CaughtUp)
        # Nothing is compacted yet.
        assert yielded(watched.items) == ["Current"] * len(filled.changes) + ["SnapshotEnd", "CaughtUp"]
        assert dict(versions(watched.items, Current)) == {
            one.application_id: one.version.offset for one in filled.expected.values()
        }
        made = filled.change(*APPLICATIONS)
        watched.wait_kind(Changed, len(made))
    assert View().take(watched.items).agrees(filled.expected)
    assert sorted(versions(watched.items, Changed)) == sorted((one.application_id, one.version.offset) for one in made)


def test_the_whole_journal(filled, read, is_async):
    """From the beginning every change comes, each partition's in its order, and no snapshot."""
    items = read(start=BEGINNING, is_async=is_async)
    assert yielded(items) == ["Changed"] * len(filled.changes) + ["CaughtUp"]
    found = versions(items, Changed)
    for application in APPLICATIONS:
        assert [at for one, at in found if one == application] == [
            one.version.offset for one in filled.changes if one.application_id == application
        ]


def test_the_journal_from_a_time(filled, read, is_async):
    """Changes that were published before a time are left out, those after it are not; a time to come has none."""
    began = datetime.now(UTC)
    wait_until(lambda: (datetime.now(UTC) - began).total_seconds() > 0.01, "a later millisecond", limit_s=LIMIT_S)
    made = filled.change(*APPLICATIONS)
    items = read(start=began, is_async=is_async)
    assert sorted(versions(items, Changed)) == sorted((one.application_id, one.version.offset) for one in made)
    assert yielded(read(start=datetime(2900, 1, 1, tzinfo=UTC))) == ["CaughtUp"]


def test_the_journal_from_positions(filled, read, is_async):
    """Only the partitions that are named are read, each from its offset on."""
    everything = [one for one in read(start=BEGINNING) if isinstance(one, Changed)]
    partition = everything[0].partition
    expected = [one for one in everything if one.partition == partition]
    items = read(start={partition: expected[2].offset}, is_async=is_async)
    assert [one.offset for one in items if isinstance(one, Changed)] == [one.offset for one in expected[2:]]
    assert {one.partition for one in items if isinstance(one, Changed)} == {partition}


def test_every_token_goes_on_exactly(filled, read, is_async):
    """From the token of any item, those come that came after it, and no other."""
    filled.erase(APPLICATIONS[0])
    for start in ("snapshot", BEGINNING):
        items = read(start=start)
        for index in range(0, len(items), 5):
            rest = read(start=items[index].token, is_async=is_async)
            # The journal's partitions are fetched together, in any order.
            assert {(type(one).__name__, one.partition, one.offset) for one in rest if hasattr(one, "offset")} == {
                (type(one).__name__, one.partition, one.offset) for one in items[index + 1 :] if hasattr(one, "offset")
            }


def test_another_loop_goes_on(filled, subscribed):
    """A loop that is left, and begun again, loses nothing and repeats nothing, within a batch and after an end."""
    with subscribed(until="caught-up") as subscription:
        items = []
        while not items or not isinstance(items[-1], CaughtUp):
            for item in subscription:
                items.append(item)
                break
        assert [*subscription] == []
        filled.change(*APPLICATIONS)
        items += subscription
    assert yielded(items).count("SnapshotEnd") == 1
    assert View().take(items).agrees(filled.expected)
    assert len(versions(items, Changed)) == len(APPLICATIONS)


def test_one_application_reads_one_partition(filled, read, is_async):
    """With applications, only their partitions are read, and only they come: snapshot, changes and erasures."""
    application = APPLICATIONS[3]
    filled.change(application, factors={"f_other": 1})
    filled.erase(application)
    items = read(applications=[application], is_async=is_async)
    [end] = [item for item in items if isinstance(item, SnapshotEnd)]
    assert end.partitions == (partition_of(application, filled.partitions),)
    journal = read(start=BEGINNING, applications=[application])
    assert {one.change.application_id for one in journal if isinstance(one, Changed)} == {application}
    assert {one.application_id for one in (*items, *journal) if isinstance(one, Erased)} == {application}


def test_filters_of_changes(published, read):
    """Processors choose pairs; factors, outcomes and kinds choose changes, and leave the snapshot as it is."""
    one, other = (published.application(partition) for partition in (0, 1))
    published.change(one, factors={"f_a": 1})
    published.change(one, factors={"f_a": 2})
    published.change(one, factors={"f_a": 2})
    published.change(other, processor="credit_check", factors={"f_b": 1}, outcome="partial")
    published.change(other, processor="credit_check", factors={}, outcome="cleared")

    def ops(**wanted):
        items = read(start=BEGINNING, **wanted)
        return [tuple(each.op for each in item.change.changed) for item in items if isinstance(item, Changed)]

    assert ops(processors=["credit_check"]) == [("set",), ("cleared",)]
    assert ops(factors=["f_a"]) == [("set",), ("updated",)]
    assert ops(outcomes=["cleared"]) == [("cleared",)]
    assert ops(kinds=["unchanged", "cleared"]) in ([(), ("cleared",)], [("cleared",), ()])
    assert ops(kinds=["set"], factors=["f_a"]) == [("set",)]
    snapshot = [item for item in read(kinds=["set"]) if isinstance(item, Current)]
    assert len(snapshot) == len(published.changes)


def test_a_stored_token_survives_the_service(filled, subscribed, arguments):
    """A service that keeps the token with its effect goes on in a new process as if it had not ended."""
    view, token = View(), None
    for _ in range(4):
        with subscribed(start=token or "snapshot", until="caught-up") as subscription:
            for count, item in enumerate(subscription):
                view.take([item])
                token = item.token
                if count == 7:
                    break
        filled.change(*APPLICATIONS[:5])
    view.take(consolidator.subscribe(**arguments, start=token, until="caught-up"))
    assert view.agrees(filled.expected)
