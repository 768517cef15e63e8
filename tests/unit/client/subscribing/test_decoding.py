"""Records become items: what a filter leaves out, what a snapshot has already, and what cannot be read."""

import gc

import pytest

from consolidator import Changed, Current, Erased, UnreadableRecordError
from consolidator.subscribing.decoding import Decoder
from consolidator.subscribing.positions import Position
from consolidator.subscribing.start import Filter
from tests.unit.client.subscribing.records import FakeRecord, change_record, current_record, frame, made


def decoder(**wanted):
    return Decoder(Filter.of(**wanted), "factor-changes", "factors")


def changes(records, floors=None, **wanted):
    """The items, and the last offsets."""
    last = {}
    items = list(decoder(**wanted).changes(records, frame(Position(0)), {} if floors is None else floors, last))
    return items, last


def snapshot(records, firsts=None, **wanted):
    """The items, the floors and the last offsets."""
    last, floors = {}, {}
    place = frame(Position(0, 0), of_factors=True)
    items = list(decoder(**wanted).snapshot(records, place, floors, last, firsts or {}))
    return items, floors, last


def test_changes_and_tombstones_in_their_order():
    """A value is a change, none is an erasure, a key that no worker has is nothing."""
    one = made("a/b", 1)
    records = [
        change_record(one, 3),
        FakeRecord((0, 5), change_record(one, 3).key(), None),
        FakeRecord((0, 6), b"no key of ours", None),
        FakeRecord((0, 7), None, None),
    ]
    items, last = changes(records)
    assert last == {0: 7}
    [changed, erased] = items
    assert isinstance(changed, Changed)
    assert (changed.change, changed.partition, changed.offset) == (one, 0, 3)
    assert isinstance(erased, Erased)
    assert (erased.application_id, erased.processor, erased.change_id) == ("a/b", None, one.id)


def test_what_the_snapshot_has_is_dropped_by_version_and_key():
    """Up to the last version, and of this version, which an adoption gives to many pairs, up to the last key."""
    floors = {0: (7, b"m/bank_statement")}
    given = [made("z", 6), made("a", 7), made("m", 7), made("n", 7), made("a", 8), made("a", 5)]
    items, last = changes([change_record(one, number) for number, one in enumerate(given)], floors)
    # Versions never decrease: the last one is a stranger's, and is the caller's to judge.
    assert [item.change.application_id for item in items] == ["n", "a", "a"]
    assert floors == {}
    assert last == {0: 5}


def test_other_partitions_keep_their_floors():
    """A floor is of one partition."""
    floors = {0: (7, b"m/x"), 1: (7, b"m/x")}
    items, _ = changes([change_record(made("a", 9), 0), change_record(made("a", 3), 0, partition=1)], floors)
    assert [item.partition for item in items] == [0]
    assert floors == {1: (7, b"m/x")}


@pytest.mark.parametrize(
    ("wanted", "passing"),
    [
        ({}, ["set", "updated", "same", "cleared"]),
        ({"factors": ["f_a"]}, ["set", "updated", "cleared"]),
        ({"factors": ["f_b"]}, []),
        ({"kinds": ["set"]}, ["set"]),
        ({"kinds": ["set", "cleared"]}, ["set", "cleared"]),
        ({"kinds": ["unchanged"]}, ["same"]),
        ({"kinds": ["unchanged"], "factors": ["f_a"]}, []),
        ({"kinds": ["updated"], "factors": ["f_a", "f_b"]}, ["updated"]),
        ({"outcomes": ["cleared", "partial"]}, ["cleared"]),
        ({"processors": ["credit_check"]}, []),
        ({"processors": ["bank_statement"], "outcomes": ["consolidated"]}, ["set", "updated", "same"]),
        ({"applications": ["b"]}, []),
        ({"applications": ["a", "b"], "kinds": ["set"]}, ["set"]),
    ],
)
def test_filters(wanted, passing):
    """All members of a filter have to let a change pass; an empty one lets everything."""
    first = made("a", 1, factors={"f_a": 1})
    second = made("a", 2, factors={"f_a": 2}, before=first)
    third = made("a", 3, factors={"f_a": 2}, before=second)
    fourth = made("a", 4, factors={}, outcome="cleared", before=third)
    names = dict(zip([1, 2, 3, 4], ["set", "updated", "same", "cleared"], strict=True))
    records = [change_record(one, number) for number, one in enumerate([first, second, third, fourth])]
    items, last = changes(records, **wanted)
    assert [names[item.change.version.offset] for item in items] == passing
    assert last == {0: 3}


def test_an_erasure_passes_every_filter_of_changes():
    """A tombstone of the journal does not tell its processor: it is shown to all who want the application."""
    records = [FakeRecord((0, 0), b"a/change", None)]
    for wanted in ({"processors": ["x"]}, {"kinds": ["set"]}, {"outcomes": ["cleared"]}, {"applications": ["a"]}):
        assert len(changes(records, **wanted)[0]) == 1
    assert changes(records, applications=["b"])[0] == []


def test_other_applications_are_not_decoded():
    """What another application's record has in it does not matter."""
    items, last = changes([FakeRecord((0, 0), b"b/x", b"{}"), FakeRecord((0, 1), None, b"{}")], applications=["a"])
    assert (items, last) == ([], {0: 1})


def test_a_snapshot_finds_its_floor():
    """The last record tells up to where changes are in it, whether or not the filter lets it pass."""
    records = [
        current_record(made("a", 3), 0),
        current_record(made("b", 4, "credit_check"), 2),
        FakeRecord((0, 3), b"a/bank_statement", None),
    ]
    items, floors, last = snapshot(records, processors=["bank_statement"])
    assert [type(item) for item in items] == [Current, Erased]
    assert items[1].processor == "bank_statement"
    assert floors == {0: (4, b"b/credit_check")}
    assert last == {0: 3}


def test_a_snapshot_goes_on_behind_a_token():
    """The record before a token's place is read for its version, and not shown again."""
    items, floors, _ = snapshot([current_record(made("a", 3), 4), current_record(made("b", 3), 5)], {0: 5})
    assert [item.offset for item in items] == [5]
    assert floors == {0: (3, b"b/bank_statement")}
    items, floors, _ = snapshot([current_record(made("a", 3), 4)], {0: 5})
    assert (items, floors) == ([], {0: (3, b"a/bank_statement")})


def test_a_record_that_cannot_be_read_is_named():
    """Items before it come; then the error, with topic, partition, offset and what to do, and no value."""
    records = [change_record(made("a", 1), 0), FakeRecord((0, 9), b"a/x", b'{"secret": "canary"}')]
    last = {}
    found = decoder().changes(records, frame(Position(0)), {}, last)
    assert isinstance(next(found), Changed)
    with pytest.raises(UnreadableRecordError, match="factor-changes partition 0 offset 9: the value") as caught:
        next(found)
    assert "canary" not in str(caught.value)
    assert last == {0: 0}
    with pytest.raises(UnreadableRecordError, match=r"^factors partition 0 offset 9: .*To do: "):
        snapshot(records[1:])


def test_items_are_no_work_for_the_garbage_collector():
    """It does not look at items: they hold no cycle."""
    items, _ = changes([change_record(made("a", 1), 0)])
    assert not gc.is_tracked(items[0])
