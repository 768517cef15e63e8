"""The order of reading, forced on real Kafka: what a simple order loses, this one does not.

A commit's markers reach the journal and ``factors`` at different moments. A transaction of somebody else that is held
open on one of them holds its last stable offset back, as a late marker does.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from consolidator import CaughtUp, Changed, Current, Progress, SnapshotEnd, StalledError
from consolidator.connecting.ends import ends_of
from consolidator.records import FactorChange, decode_change, decode_factors
from consolidator.subscribing.cluster import COMMITTED, EVERYTHING
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.published_topics import Published
from tests.real_kafka.subscribing import View, Watched, yielded

pytestmark = pytest.mark.kafka

PARTITION = 1
HELD_S = 1.0
"""For how long a subscription is watched that must not end its snapshot."""


class Naive:
    """Reads ``factors`` to its end and then the journal from its end, as everybody does at first."""

    def __init__(self, published: Published, *, journal_first: bool, journal_end: object, factors_end: object) -> None:
        self._published = published
        self._first = journal_first
        self._isolation = dict(zip(published.names, (journal_end, factors_end), strict=True))

    def begin(self) -> None:
        """Take both ends, and read the snapshot."""
        journal, factors = self._published.names
        order = (journal, factors) if self._first else (factors, journal)
        ends = {topic: self._end(topic) for topic in order}
        self.start = ends[journal]
        self.pairs = {
            (one.application_id, one.processor): one.version.offset
            for one in map(decode_factors, self._values(factors, 0, ends[factors]))
        }

    def finish(self) -> dict[tuple[str, str], int]:
        """Read the journal, and return the version of each pair."""
        journal, _ = self._published.names
        for change in map(decode_change, self._values(journal, self.start, self._end(journal, EVERYTHING))):
            self.pairs[change.application_id, change.processor] = change.version.offset
        return self.pairs

    def _end(self, topic: str, isolation: object = None) -> int:
        admin = self._published.installation.admin
        chosen = isolation or self._isolation[topic]
        return ends_of(admin, topic, [PARTITION], chosen, limit_s=LIMIT_S)[PARTITION]

    def _values(self, topic: str, start: int, end: int) -> Iterator[bytes]:
        """The committed values between two offsets."""
        settings = {"group.id": "naive", "enable.partition.eof": True, "auto.offset.reset": "error"}
        consumer = Consumer({**self._published.installation.config, **settings})
        deadline = time.monotonic() + LIMIT_S
        try:
            consumer.assign([TopicPartition(topic, PARTITION, start)])
            while True:
                assert time.monotonic() < deadline
                for message in consumer.consume(1, timeout=1.0):
                    error = message.error()
                    assert error is None or error.code() == KafkaError._PARTITION_EOF
                    # The end that it knows of, or the end that committed readers see.
                    if error is not None or message.offset() >= end:
                        return
                    yield message.value()
        finally:
            consumer.close()


def versions(published: Published) -> dict[tuple[str, str], int]:
    return {pair: change.version.offset for pair, change in published.expected.items()}


@pytest.fixture
def late_marker(published) -> Iterator[tuple[FactorChange, Callable[[], None]]]:
    """A committed change whose journal can be read, and its current factors not yet; and what lets them be read."""
    published.change(published.application(PARTITION))
    with published.stranger(published.names[1], PARTITION) as end:
        [change] = published.change(published.application(PARTITION, 1))
        published.wait_decided(published.names[0], PARTITION)
        yield change, end


ORDERS = {
    "both last stable offsets, the journal's first": {"journal_first": True, "journal_end": COMMITTED},
    "both last stable offsets, the journal's last": {"journal_first": False, "journal_end": COMMITTED},
    "the journal's high watermark": {"journal_first": True, "journal_end": EVERYTHING},
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_simple_order_loses_a_change(published, late_marker, order):
    """Each simple order loses the change whose marker is late in one of the two topics: the gap is there."""
    naive = Naive(published, factors_end=COMMITTED, **ORDERS[order])
    naive.begin()
    published.change(published.application(PARTITION, 2))
    change, _ = late_marker
    assert naive.finish() != versions(published)
    assert (change.application_id, change.processor) not in naive.pairs


def test_a_late_marker_loses_nothing(published, late_marker, subscribed, is_async):
    """The snapshot waits for the transaction that is open below the high watermark, and then has the change."""
    with Watched(subscribed(progress_s=0.1), is_async=is_async) as watched:
        watched.wait_for(lambda: len(watched.of(Current)) == 1, "the first record of the snapshot")
        time.sleep(HELD_S)
        assert not watched.of(SnapshotEnd)
        change, end = late_marker
        assert change.application_id not in {one.factors.application_id for one in watched.of(Current)}
        end()
        watched.wait_kind(CaughtUp)
        published.change(published.application(PARTITION, 2))
        watched.wait_kind(Changed)
    assert View().take(watched.items).agrees(published.expected)
    assert yielded(watched.items) == ["Current", "Current", "SnapshotEnd", "CaughtUp", "Changed"]


def test_an_open_transaction_across_both_topics_comes_once(published, subscribed, is_async):
    """Changes of a transaction that is open when the snapshot begins are in it, and not in the journal again."""
    one, other = (published.application(PARTITION, number) for number in (0, 1))
    published.change(one, other)
    made = [published.make(one), published.make(other), published.make(one)]
    with published.transaction(made) as commit, Watched(subscribed(), is_async=is_async) as watched:
        watched.wait_kind(Current, 2)
        time.sleep(HELD_S)
        assert not watched.of(SnapshotEnd)
        commit()
        watched.wait_kind(CaughtUp)
    assert yielded(watched.items) == ["Current"] * 4 + ["SnapshotEnd", "CaughtUp"]
    assert View().take(watched.items).agrees(published.expected)


def test_a_change_that_is_half_written_comes_later(published, subscribed, is_async):
    """Its record of the journal is there when the snapshot begins, its current factors are not: the journal has it."""
    published.change(published.application(PARTITION))
    change = published.make(published.application(PARTITION, 1))
    watched = Watched(subscribed(), is_async=is_async)
    with contextlib.ExitStack() as stack:
        with published.half_written(change):
            stack.enter_context(watched)
            watched.wait_kind(SnapshotEnd)
        watched.wait_kind(Changed)
        watched.wait_kind(CaughtUp)
    assert yielded(watched.items) == ["Current", "SnapshotEnd", "Changed", "CaughtUp"]
    assert View().take(watched.items).agrees(published.expected)


def test_a_cut_is_between_transactions(published, subscribed):
    """A change that its pair's later one replaces within a transaction is not lost where the snapshot is cut."""
    one, other = (published.application(PARTITION, number) for number in (0, 1))
    published.change(one, other)
    with published.stranger(published.names[0], PARTITION) as end, Watched(subscribed()) as watched:
        # The journal is held back: the snapshot begins before what follows, and ends after it or before it.
        watched.wait_kind(SnapshotEnd)
        for _ in range(5):
            first = published.make(one)
            published.expected[one, first.processor] = first
            published.publish(first, published.make(other), published.make(one))
        end()
        watched.wait_kind(Changed, 15)
        watched.wait_kind(CaughtUp)
    assert [item.change.version.offset for item in watched.of(Changed)] == [
        change.version.offset for change in published.changes[2:]
    ]


def test_an_aborted_tail_is_no_end_that_is_waited_for(published, read, is_async):
    """Aborted records at the end of both topics take up offsets, and hold nothing up."""
    published.change(published.application(PARTITION))
    for topic in published.names:
        with published.stranger(topic, PARTITION):
            pass
    items = read(stall_s=LIMIT_S, is_async=is_async)
    assert yielded(items) == ["Current", "SnapshotEnd", "CaughtUp"]


@pytest.mark.parametrize("held", [0, 1], ids=["the journal", "factors"])
def test_a_stall_says_what_it_waits_for(published, read, held, is_async):
    """The error names topic, partition, the last stable offset, the end, and since when a transaction is open."""
    published.change(published.application(PARTITION))
    topic = published.names[held]
    with published.stranger(topic, PARTITION):
        published.change(published.application(PARTITION, 1))
        with pytest.raises(
            StalledError,
            match=rf"nothing has moved for 1 s: {topic} partition {PARTITION} is read up to \d+, and has to be up to "
            rf"\d+.*a transaction is open on {topic} partition {PARTITION} since 20\d\d-.*Z: the last stable offset is "
            r"\d+, the end is \d+",
        ):
            read(stall_s=1.0, is_async=is_async)
    assert View().take(read()).agrees(published.expected)


def test_a_tail_says_what_it_waits_for(published, subscribed):
    """A subscription without an end does not give up: its reports name the open transaction, and go on when it ends."""
    published.change(published.application(PARTITION))
    with Watched(subscribed(progress_s=0.2, stall_s=1.0)) as watched:
        watched.wait_kind(CaughtUp)
        with published.stranger(published.names[0], PARTITION):
            published.change(published.application(PARTITION, 1))

            def is_named() -> bool:
                reports = (item.waits_for for item in watched.items if isinstance(item, Progress))
                return any(words and "a transaction is open" in words for words in reports)

            watched.wait_for(is_named, "a report of the open transaction")
        watched.wait_kind(Changed)
    assert View().take(watched.items).agrees(published.expected)
