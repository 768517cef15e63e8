"""A lane takes its partition's batches one behind the other, or not at all."""

import asyncio
from types import SimpleNamespace

import pytest

from models.errors import ContractError
from models.rows import PartitionMark
from streams.partition.batch import Batch, Outgoing
from streams.partition.result import Folded
from streams.worker.in_flight import InFlight
from streams.worker.lane import Lane, Share
from streams.worker.measuring.rounds import RoundFigures
from streams.worker.process_round import process
from streams.worker.round import Membership
from tests.oracle.folds import Record
from topics.records.adoptions import ADOPTION_PREFIX

ME = Membership("app", 1, "me")


def test_a_hole_between_two_batches_is_refused():
    """A batch that does not start where the last one ended is not looked at: something was lost on the way."""
    untouched = object()
    lane = Lane(1, untouched, untouched, untouched, changelog="changelog", executor=untouched, start=7)
    batch = Batch("executions", 1, 9, 12, ())
    with pytest.raises(ContractError, match="starts at 9, expected 7"):
        asyncio.run(process([(lane, batch)], ME, pytest.fail, pytest.fail))


class RecordedLane:
    """Notes what is done with it; nothing is committed."""

    few_records = 1

    def __init__(self, name, done, *, small=False, comes_of_it=0):
        self._name = name
        self._done = done
        self._comes_of_it = comes_of_it
        self.figures = RoundFigures()
        self.transactions = SimpleNamespace(begin=lambda: done.append("begin"))
        self.small = SimpleNamespace(begin=lambda: done.append("begin small")) if small else None

    async def fold(self, batch, _room):
        self._done.append(f"fold {self._name}")
        return Share(self, batch, Folded(None, end=batch.end), [(b"key", b" " * self._comes_of_it)])

    async def drained(self):
        self._done.append(f"drained {self._name}")

    def produce(self, _share, _transactions):
        self._done.append(f"produce {self._name}")

    async def in_thread(self, _call):
        self._done.append("commit")
        return 0.0

    def written(self, _share):
        self._done.append(f"written {self._name}")


def done_with(key, **lane):
    """What is done with a round of two batches, the second of which has a record under a key."""
    done = []
    record = Record(0, key, b"value")

    async def take_in_turn():
        ended = asyncio.Event()
        lanes = [RecordedLane(name, done, **lane) for name in "ab"]
        batches = [Batch("executions", number, 0, 1, (record,) * number) for number in range(2)]
        await process(list(zip(lanes, batches, strict=True)), ME, ended.set, pytest.fail)
        async with asyncio.timeout(10):
            await ended.wait()

    asyncio.run(take_in_turn())
    return done


def test_a_rounds_batches_are_produced_as_they_are_folded():
    """The first one's records are on their way while the others are folded; none before the last commits are over."""
    assert done_with(b"app/e1") == [
        "fold a", "drained a", "drained b", "begin", "produce a", "fold b", "produce b", "commit", "written a",
        "written b",
    ]  # fmt: skip


def test_a_small_round_is_folded_first_and_has_transactions_of_its_own():
    """Its records go in one request, once all of them are there."""
    done = done_with(b"app/e1", small=True)
    assert done[:7] == ["fold a", "fold b", "drained a", "drained b", "begin small", "produce a", "produce b"]


def test_much_that_comes_of_few_records_has_the_transactions_of_large_batches():
    """A batch of several MB would be more than the topics take."""
    assert "begin" in done_with(b"app/e1", small=True, comes_of_it=500_000)
    assert "begin small" in done_with(b"app/e1", small=True, comes_of_it=499_900)


def test_keys_headers_and_framing_count_as_well():
    """What is in a small round's batch is more than its values."""
    outgoing = [Outgoing("t", 1, b"k" * 100, b"v" * 200, [("h" * 10, b"t")])]
    folded = Folded(PartitionMark(1, 7, "rules"), outgoing=outgoing)
    share = Share(None, Batch("executions", 1, 7, 8, ()), folded, [(b"k" * 30, None)])
    assert share.framed_size > 100 + 200 + 11 + 30


class CutLane(RecordedLane):
    """A lane that folds one record at a time."""

    comes_of_a_record = 1
    committing = None

    async def drained(self):
        if self.committing is not None:
            await asyncio.wait([self.committing])

    async def fold(self, batch, _room):
        taken, rest = batch.cut(batch.start + 1)
        self._done.append(f"fold {self._name}{batch.start}")
        folded = Folded(None, end=taken.end, erasures_bytes=self.comes_of_a_record)
        return Share(self, taken, folded, [(b"key", b"row")], rest)


def test_what_there_is_no_room_for_comes_in_transactions_of_its_own():
    """One behind the other, each after the last one's commit, and the round is acknowledged after the last."""
    done = []

    async def take_in_turn():
        ended = asyncio.Event()
        lanes = [CutLane(name, done) for name in "ab"]
        records = [Record(offset, b"k", b"v") for offset in range(3)]
        batches = [Batch("executions", 0, 0, 3, records), Batch("executions", 1, 0, 1, records[:1])]
        await process(list(zip(lanes, batches, strict=True)), ME, ended.set, pytest.fail)
        async with asyncio.timeout(10):
            await ended.wait()
        done.append("fold nothing more")

    asyncio.run(take_in_turn())
    assert [step for step in done if step.startswith(("fold", "begin", "commit"))] == [
        "fold a0", "begin", "fold b0", "fold a1", "commit", "begin", "fold a2", "commit", "begin", "commit",
        "fold nothing more",
    ]  # fmt: skip


def test_a_partition_that_has_no_room_left_is_folded_in_the_next_transaction():
    """The round's first partition may take all of it."""
    done = []

    async def take_in_turn():
        ended = asyncio.Event()
        lanes = [CutLane(name, done) for name in "ab"]
        lanes[0].comes_of_a_record = 10**9
        records = [Record(0, b"k", b"v")]
        batches = [Batch("executions", number, 0, 1, records) for number in range(2)]
        await process(list(zip(lanes, batches, strict=True)), ME, ended.set, pytest.fail)
        async with asyncio.timeout(10):
            await ended.wait()

    asyncio.run(take_in_turn())
    assert [step for step in done if step.startswith(("fold", "begin", "commit"))] == [
        "fold a0", "begin", "fold b0", "commit", "begin", "commit",
    ]  # fmt: skip


def test_commits_that_are_large_wait_for_each_other():
    """What is in flight lies in memory; one that is larger than all of it goes alone."""

    async def scenario():
        in_flight = InFlight(100)
        await in_flight.wait_for_room(1_000)
        in_flight.began(1_000)
        waiting = asyncio.create_task(in_flight.wait_for_room(1))
        await asyncio.sleep(0)
        assert not waiting.done()
        in_flight.ended(1_000)
        async with asyncio.timeout(10):
            await waiting
        in_flight.began(60)
        await in_flight.wait_for_room(40)

    asyncio.run(scenario())


def test_no_transaction_is_open_while_a_partition_is_folded_again():
    """What adopts a ruleset may take minutes: the broker would abort the transaction."""
    assert done_with(ADOPTION_PREFIX + b"rules") == [
        "fold a", "fold b", "drained a", "drained b", "begin", "produce a", "produce b", "commit", "written a",
        "written b",
    ]  # fmt: skip


def test_records_are_let_go_once_the_producer_has_them():
    """It keeps copies, and the commit is still to come: both would be in memory until then."""

    class Transactions:
        def __init__(self):
            self.produced = []

        def produce(self, outgoing):
            self.produced += outgoing

        def produce_rows(self, changelog, partition, rows):
            self.produced.append((changelog, partition, rows))

    nobody = object()
    lane = Lane(1, nobody, nobody, nobody, changelog="changelog", executor=nobody, start=7)
    folded = Folded(PartitionMark(1, 7, "rules"), outgoing=[Outgoing("factors", 1, b"key", b"value")])
    share = Share(lane, Batch("executions", 1, 7, 8, ()), folded, [(b"key", b"row")])
    lane.produce(share, transactions := Transactions())
    assert transactions.produced == [Outgoing("factors", 1, b"key", b"value"), ("changelog", 1, [(b"key", b"row")])]
    assert folded.outgoing == []
    assert share.rows == [(b"key", b"row")]
