"""A group: partitions are shared, each with its own snapshot and token; positions that are committed, or stored."""

import threading
import time
from uuid import uuid4

import pytest

from consolidator import BEGINNING, CaughtUp, Changed, MustRefetch, Progress, Revoked, TokenError, partition_of
from consolidator.connecting.reading_settings import READING_SETTINGS
from tests.real_kafka.subscribing import LIMIT_S, Watched, yielded
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

LONGEST_S = 10.0
"""How long a member may be busy with an item; librdkafka's default is five minutes, and its session the least."""

APPLICATIONS = [f"app-{number}" for number in range(12)]


@pytest.fixture
def group(installation):
    return f"{installation.name}-{uuid4().hex[:6]}"


class Members:
    """The members' common view: what each of them shows of the partitions that it has.

    Args:
        partitions: of the topics.
    """

    def __init__(self, partitions):
        self._partitions = partitions
        self._lock = threading.Lock()
        self.pairs = {}
        self.tokens = {}

    def take(self, item):
        """Handle an item, and keep its token, at once: as with a database."""
        with self._lock:
            if isinstance(item, Revoked | Progress):
                return
            if hasattr(item, "application_id"):
                self.pairs = {pair: at for pair, at in self.pairs.items() if pair[0] != item.application_id}
            for member in ("factors", "change"):
                if (value := getattr(item, member, None)) is not None:
                    self.pairs[value.application_id, value.processor] = value.version.offset
            partitions = getattr(item, "partitions", None) or (item.partition,)
            if isinstance(item, MustRefetch):
                self.pairs = {
                    pair: at
                    for pair, at in self.pairs.items()
                    if partition_of(pair[0], self._partitions) not in partitions
                }
            self.tokens |= dict.fromkeys(partitions, item.token)

    def stored(self, partitions):
        """The tokens of some partitions."""
        with self._lock:
            return {one: self.tokens[one] for one in partitions if one in self.tokens}

    def agrees(self, published):
        """Whether it is what was published."""
        expected = {pair: one.version.offset for pair, one in published.expected.items()}
        with self._lock:
            return self.pairs == expected


def held(watched):
    """The partitions that have caught up and were not given away."""
    found = set()
    for item in [*watched.items]:
        if isinstance(item, CaughtUp):
            found |= {*item.partitions}
        if isinstance(item, Revoked):
            found -= {*item.partitions}
    return found


def wait_shared(members, count):
    """Wait until the members have all partitions among them, and each has some."""

    def is_shared():
        for one in members:
            if one.error is not None:
                raise one.error
        parts = [held(one) for one in members]
        return all(parts) and sorted(number for part in parts for number in part) == [*range(count)]

    wait_until(is_shared, "the partitions to be shared", limit_s=LIMIT_S, details=lambda: repr(members))


def test_members_share_the_partitions_exactly_once(published, subscribed, group, is_async):
    """One member has all; a second one takes some over, from the stored tokens; when it goes, the first has them."""
    published.change(*APPLICATIONS)
    view = Members(published.partitions)
    arguments = {"group": group, "stored": view.stored, "progress_s": 0.5}
    with Watched(subscribed(**arguments), take=view.take, is_async=is_async) as first:
        wait_shared([first], published.partitions)
        assert view.agrees(published)
        with Watched(subscribed(**arguments), take=view.take, is_async=is_async) as second:
            wait_shared([first, second], published.partitions)
            assert first.of(Revoked)
            published.change(*APPLICATIONS)
            wait_until(lambda: view.agrees(published), "the changes", limit_s=LIMIT_S)
            # What the first one had stored goes on: nothing is read again.
            assert set(yielded(second.items)) <= {"CaughtUp", "Changed"}
            published.erase(APPLICATIONS[0])
            wait_until(lambda: view.agrees(published), "the erasure", limit_s=LIMIT_S)
        published.change(*APPLICATIONS[1:])
        wait_shared([first], published.partitions)
        wait_until(lambda: view.agrees(published), "the last changes", limit_s=LIMIT_S)
    seen = [(item.partition, item.offset) for item in (*first.items, *second.items) if isinstance(item, Changed)]
    assert len(seen) == len(set(seen))


def test_only_what_is_committed_is_kept(published, subscribed, group):
    """A member that has committed goes on there, in the snapshot and after it; without a commit it begins anew."""
    published.change(*APPLICATIONS)
    with Watched(subscribed(group=group)) as watched:
        wait_shared([watched], published.partitions)
    assert yielded(watched.items).count("Current") == len(APPLICATIONS)
    half = []

    def leave(item):
        half.append(item)
        again.subscription.commit(item)
        if len(half) == 4:
            again.subscription.close()

    again = Watched(subscribed(group=group), take=leave)
    with again:
        again.ended()
    published.change(*APPLICATIONS)
    with Watched(subscribed(group=group)) as watched:
        wait_shared([watched], published.partitions)
        watched.wait_for(lambda: bool(watched.items), "items")
        watched.subscription.commit()
    before = [item for item in half if hasattr(item, "offset")]
    snapshot = [(item.partition, item.offset) for item in (*before, *watched.items) if type(item).__name__ == "Current"]
    assert len(snapshot) == len(set(snapshot))
    with Watched(subscribed(group=group)) as watched:
        wait_shared([watched], published.partitions)
    assert set(yielded(watched.items)) <= {"CaughtUp", "Changed"}


def test_a_group_begins_at_the_beginning_if_it_is_said(published, subscribed, group):
    """Partitions of which nothing is stored begin with the first change."""
    published.change(*APPLICATIONS)
    published.change(*APPLICATIONS)
    with Watched(subscribed(group=group, start=BEGINNING)) as watched:
        wait_shared([watched], published.partitions)
    assert yielded(watched.items).count("Changed") == 2 * len(APPLICATIONS)


def test_positions_are_still_ours_when_they_are_revoked(published, subscribed, group):
    """on_revoke is called before another member has the partitions: what it commits, the other one goes on from."""
    published.change(*APPLICATIONS)
    told = []

    def on_revoke(revoked):
        told.append(revoked)
        first.subscription.commit()

    first = Watched(subscribed(group=group, on_revoke=on_revoke))
    with first:
        wait_shared([first], published.partitions)
    assert {number for one in told for number in one.partitions} == set(range(published.partitions))
    with Watched(subscribed(group=group)) as second:
        wait_shared([second], published.partitions)
    assert yielded(second.items) == ["CaughtUp"] * published.partitions


def test_a_token_of_another_partition_is_refused(published, subscribed, group):
    """A caller that mixes up its rows is told so."""
    published.change(*APPLICATIONS)
    view = Members(published.partitions)
    with Watched(subscribed(group=group), take=view.take) as watched:
        wait_shared([watched], published.partitions)
    mixed = subscribed(group=group, stored=lambda partitions: {one: view.tokens[3 - one] for one in partitions})
    with Watched(mixed) as watched:
        assert isinstance(error := watched.ended(), TokenError)
    assert "the token for partition" in str(error)


def test_a_re_created_topic_in_a_group(published, subscribed, group):
    """Each partition is taken again: the stored tokens are of the topic that was."""
    published.change(*APPLICATIONS)
    view = Members(published.partitions)
    with Watched(subscribed(group=group, stored=view.stored, progress_s=0.5), take=view.take) as watched:
        wait_shared([watched], published.partitions)
        for name in published.names:
            published.recreate(name)
        published.expected.clear()
        published.change(*APPLICATIONS[:3])
        wait_until(
            lambda: view.agrees(published), "the view of the new topics", limit_s=LIMIT_S, details=lambda: repr(watched)
        )
        watched.wait_kind(MustRefetch, published.partitions)


@pytest.mark.slow
def test_a_member_that_is_busy_for_longer_than_it_may_be_goes_on(published, subscribed, group, monkeypatch):
    """Its partitions are given away while it is busy with an item. It gets them again, and nothing is missing."""
    monkeypatch.setattr(
        "consolidator.subscribing.consuming.READING_SETTINGS",
        {**READING_SETTINGS, "max.poll.interval.ms": int(LONGEST_S * 1_000)},
    )
    published.change(*APPLICATIONS)
    view, busy = Members(published.partitions), []

    def take(item):
        view.take(item)
        if isinstance(item, CaughtUp) and not busy:
            busy.append(item)
            # The time has to pass.
            time.sleep(LONGEST_S * 1.5)

    with Watched(subscribed(group=group, stored=view.stored), take=take) as watched:
        watched.wait_for(lambda: bool(busy), "a member that is busy")
        published.change(*APPLICATIONS)
        wait_until(lambda: view.agrees(published), "the view", limit_s=LIMIT_S, details=lambda: repr(watched))
        wait_shared([watched], published.partitions)
        published.change(*APPLICATIONS)
        wait_until(lambda: view.agrees(published), "the next changes", limit_s=LIMIT_S, details=lambda: repr(watched))
    assert "Revoked" in yielded(watched.items)
