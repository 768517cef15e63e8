"""What a real worker makes of published events, as a publisher learns it."""

import asyncio

import pytest

from consolidator import SourcePlace, UsageError, wait_for, wait_for_async
from consolidator.keys import event_key

pytestmark = pytest.mark.kafka


def test_an_event_that_changes_something_is_applied(publisher, waiter):
    """With its change, which is that of this very event."""
    place = publisher.event(1, "applied")
    result = waiter.wait_for(place)
    assert (result.kind, result.place, result.republished_at) == ("applied", SourcePlace(*place), None)
    [change] = result.changes
    assert change.version == result.place
    assert change.values()["f_revenue_monthly_avg"] == 10_001


def test_results_are_told_apart_in_one_partition(publisher, waiter):
    """Asked for later and in any order, each event has its own."""
    places = [publisher.event(number, "many") for number in range(20)]
    for number in (19, 3, 0, 12):
        [change] = waiter.wait_for(places[number]).changes
        assert change.cause.event_id == f"ev-{number}"


def test_a_copy_of_an_event_changes_nothing(publisher, waiter):
    """The worker has it already."""
    waiter.wait_for(publisher.event(1, "copies"))
    result = waiter.wait_for(publisher.event(1, "copies"))
    assert (result.kind, result.changes, result.republished_at) == ("no_change", (), None)


def test_a_bad_event_is_a_dead_letter_with_its_reason(publisher, waiter):
    """Code and words are the dead letter's."""
    place = publisher.record(b"bad/1", b'{"status": "completed"}', 2)
    result = waiter.wait_for(place)
    assert (result.kind, result.code) == ("dead_letter", "missing_field")
    assert result.reason == "application_id is missing"


def test_a_tombstone_under_no_canonical_key_is_one_too(publisher, waiter):
    """Its dead letter has no value either."""
    assert waiter.wait_for(publisher.record(b"no-event", None, 1)).code == "tombstone_key"


def test_a_tombstone_erases_an_event_from_each_processor_that_has_it(publisher, waiter):
    """One record may come to several changes."""
    waiter.wait_for(publisher.event(1, "erased"))
    waiter.wait_for(publisher.event(1, "erased", processor="another"))
    result = waiter.wait_for(publisher.record(event_key("erased", "ev-1"), None, publisher.home("erased")))
    assert (result.kind, {change.processor for change in result.changes}) == ("applied", {"bank_statement", "another"})


@pytest.mark.parametrize("members", [{}, {"event_id": None}], ids=["with an id", "without one"])
@pytest.mark.parametrize("away", [0, 1], ids=["another key", "another partition"])
def test_the_copy_of_an_event_under_another_key_is_followed(publisher, waiter, members, away):
    """The result is the copy's, and says where the copy stands."""
    application = f"foreign {members} {away}"
    home = publisher.home(application)
    value = publisher.value(1, application, **members)
    place = publisher.record(b"any key", value, (home + away) % publisher.installation.partitions)
    result = waiter.wait_for(place)
    assert result.kind == "applied"
    assert result.place == result.republished_at != SourcePlace(*place)
    assert result.place.partition == home
    [change] = result.changes
    assert change.version == result.place
    copy = waiter.wait_for(place, follow_copy=False)
    assert (copy.kind, copy.place, copy.republished_at) == ("republished_at", SourcePlace(*place), result.place)


def test_the_copy_of_a_tombstone_in_another_partition_is_followed(publisher, waiter):
    """A tombstone has a canonical partition as well."""
    waiter.wait_for(publisher.event(1, "moved"))
    away = (publisher.home("moved") + 1) % publisher.installation.partitions
    result = waiter.wait_for(publisher.record(event_key("moved", "ev-1"), None, away))
    assert (result.kind, len(result.changes)) == ("applied", 1)
    assert result.place.partition == publisher.home("moved")


def test_a_copy_that_changes_nothing_is_followed_too(publisher, waiter):
    """The result then says both."""
    value = publisher.value(1, "twice")
    first = waiter.wait_for(publisher.record(b"x", value, 0))
    again = waiter.wait_for(publisher.record(b"x", value, 0))
    assert (first.kind, again.kind) == ("applied", "no_change")
    assert again.republished_at > first.republished_at


def test_one_event_can_be_waited_for_without_a_waiter(publisher, monkeypatch):
    """Settings come from the worker's own variables."""
    for name, value in publisher.installation.variables.items():
        monkeypatch.setenv(name, value)
    assert wait_for(publisher.event(1, "one")).kind == "applied"
    assert asyncio.run(wait_for_async(publisher.event(2, "one"))).kind == "applied"


def test_many_tasks_wait_at_the_same_time(publisher, waiter):
    """Over the same waiter, each for its own event."""
    places = {number: publisher.event(number, f"task {number}") for number in range(20)}

    async def waited():
        return await asyncio.gather(*(waiter.wait_for_async(place) for place in places.values()))

    for number, result in zip(places, asyncio.run(waited()), strict=True):
        [change] = result.changes
        assert change.application_id == f"task {number}"


def test_a_place_without_a_record_is_refused_at_once(publisher, waiter):
    """It is a mistake of the caller's, which no waiting mends."""
    partition, offset = publisher.event(1, "here")
    with pytest.raises(UsageError, match="there is no such record"):
        waiter.wait_for((partition, offset + 1_000))
    with pytest.raises(UsageError, match="there is no such partition"):
        waiter.wait_for((99, 0))
    with pytest.raises(UsageError, match="was the record delivered"):
        waiter.wait_for((0, -1001))
