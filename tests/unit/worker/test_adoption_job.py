"""The job in which a partition goes over: what goes on meanwhile, what waits, and how it is given up."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from models.errors import InfrastructureError
from streams.core.rules import Rules
from streams.partition.partition_fold import PartitionFold
from streams.partition.ruleset_switches import NoSwitches
from streams.partition.state.row_codec import MARK_KEY, decode_row
from streams.worker.adoption_job import AdoptionJob
from streams.worker.lane import Lane
from streams.worker.process_round import process
from streams.worker.refold.job import RefoldQueue
from streams.worker.round import Membership
from tests.inputs.workloads import believable
from tests.oracle.adoptions import AdoptingWorker, adopted_sample
from tests.oracle.folds import MAX_EVENT_BYTES, topics_of
from topics.records.adoptions import ADOPTION_PREFIX

LIMIT_S = 20
ME = Membership("app", 1, "me")
ITEMS = believable(7, 12)
AT = 40


ADOPTED = adopted_sample(ITEMS, AT)
END = len(ITEMS) + 1


class Table:
    """The table, and Kafka beside it: what is committed is stored."""

    def __init__(self, rows):
        self.rows = rows
        self.sent = []
        self.offsets = []

    def write_rows(self, _partition, rows, _offset):
        self.rows.store(rows)

    def compact(self, _partition):
        """Nothing is on a disk."""

    def begin(self):
        self._produced = []

    def produce(self, outgoing):
        self._produced += outgoing

    def produce_rows(self, _changelog, _partition, _rows):
        """They are written when the transaction is committed."""

    def commit(self, batches, membership):
        assert membership is ME
        self.sent += self._produced
        self.offsets += [batch.end for batch in batches]
        return {0: 0}

    def close(self):
        """Nothing is open."""


class Refold:
    """Folds the partition again when it is let; nothing of it is beside the work but for the waiting."""

    def __init__(self, directory, live):
        self.base = directory
        self.task = SimpleNamespace(partition=0)
        self.may_end = asyncio.Event()
        self.error = None
        self.announced = []
        self.applied = AT - 1
        self._live = live

    async def run(self, _directory, announce):
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        self.announced.append(await announce())

    @contextmanager
    def opened(self, _directory):
        with self._live.switches().refolded(AT, Rules(ADOPTED.after)) as refolded:
            yield SimpleNamespace(applied=self.applied, pairs_after=refolded.pairs_after)


class Running:
    """A partition whose state ends right before the adoption, and the job in which it goes over."""

    def __init__(self, directory, executor):
        live = AdoptingWorker(ADOPTED, 3)
        live.live(AT // live.batch_records)
        self.live = live
        self.table = Table(live.rows)
        self.errors = []
        self.held = []
        self.acknowledged = []
        self.fold = PartitionFold(
            0, topics_of(), Rules(ADOPTED.before), live.rows,
            max_event_bytes=MAX_EVENT_BYTES, cached_pairs=9, cached_weight=10**6, switches=live.switches(),
        )  # fmt: skip
        self.lane = Lane(0, self.fold, self.table, self.table, changelog="changelog", executor=executor, start=AT)
        self.refold = Refold(directory, live)
        self.producing = asyncio.Lock()
        self.job = AdoptionJob(
            self.lane,
            self.fold,
            self.refold,
            RefoldQueue(),
            announce=self._announce,
            keep=lambda: None,
            hold=lambda: self.held.append(True),
            let_go=lambda: self.held.append(False),
            producing=self.producing,
            failed=self.errors.append,
        )

    def _announce(self):
        assert self.producing.locked(), "a round may begin beside it"
        return AT

    def batch(self, start, end):
        records = ADOPTED.log.records[start:end]
        return replace(self.live.batch_at(start), end=end, records=records)

    async def take(self, batch):
        """As the assignment's owner does it; returns whether it was set aside."""
        if self.job.takes(batch, ME):
            return True
        async with self.producing:
            await process([(self.lane, batch)], ME, lambda: self.acknowledged.append(batch.end), self.errors.append)
        await self.lane.drained()
        return False

    async def committed(self, end):
        await self.until(lambda: self.errors or end in self.table.offsets)
        assert not self.errors, self.errors

    async def until(self, condition):
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)


def run(directory, story):
    """Tell a story about a running job."""

    async def told():
        with ThreadPoolExecutor(2) as executor:
            running = Running(directory, executor)
            try:
                async with asyncio.timeout(LIMIT_S):
                    await story(running)
            finally:
                await running.job.stop()
            return running

    return asyncio.run(told())


def test_what_comes_from_the_record_on_waits_and_comes_to_what_a_replay_says(tmp_path):
    """Batches are set aside from the record on, and processed in order once the partition has gone over."""

    async def story(running):
        assert await running.take(running.batch(AT, AT + 4))
        assert await running.take(running.batch(AT + 4, END - 5))
        assert running.held == [True, True]
        assert running.table.offsets == []
        running.refold.may_end.set()
        await running.committed(END - 5)
        await running.until(lambda: not running.held[-1])
        assert not await running.take(running.batch(END - 5, END))

    running = run(tmp_path, story)
    rows, sent = ADOPTED.replayed()
    assert not running.errors
    assert running.refold.announced == [AT]
    assert running.table.offsets == [AT + 1, AT + 4, END - 5, END]
    assert {key: raw for key, raw in running.table.rows.items() if key != MARK_KEY} == rows
    changes = [one for one in running.live.sent + running.table.sent if one.topic == "factor-changes"]
    assert changes == [one for one in sent if one.topic == "factor-changes"]
    assert not list((tmp_path / "0").glob("[0-9]"))


def test_before_the_record_everything_goes_on(tmp_path):
    """While the partition is folded again, its rounds are as ever."""

    async def story(running):
        before = replace(running.batch(AT, AT), end=AT, records=())
        assert not await running.take(before)
        assert running.acknowledged == [AT]
        assert running.held == []

    assert not run(tmp_path, story).errors


def test_what_only_looks_like_the_record_waits_for_nothing(tmp_path):
    """Whoever may publish may write such a key: it is a dead letter at once, though the refold goes on for long."""

    async def story(running):
        forged = [replace(ADOPTED.log.records[AT], key=ADOPTION_PREFIX + b"forged")]
        running.fold.switches = NoSwitches()
        assert await running.take(replace(running.batch(AT, AT + 1), records=forged))
        await running.committed(AT + 1)
        await running.until(lambda: not running.held[-1])

    running = run(tmp_path, story)
    assert [one.topic for one in running.table.sent] == ["executions.dlq"]
    assert running.refold.announced == []


def test_a_partition_that_is_given_up_ends_the_job_at_once(tmp_path):
    """Nothing of what was set aside is committed, and the directory can be had by the next owner."""

    async def story(running):
        assert await running.take(running.batch(AT, AT + 4))
        begun = asyncio.get_running_loop().time()
        await running.job.stop()
        assert asyncio.get_running_loop().time() - begun < 1

    running = run(tmp_path, story)
    assert not running.errors
    assert running.table.offsets == []
    assert decode_row(running.table.rows[MARK_KEY]).applied == AT - 1
    assert list((tmp_path / "0").glob("[0-9]"))


def test_a_refold_that_fails_ends_the_worker(tmp_path):
    """The disk is full, or Kafka is gone: there is no way on."""

    async def story(running):
        running.refold.error = InfrastructureError("full")
        running.refold.may_end.set()
        await running.until(lambda: running.errors)

    assert str(run(tmp_path, story).errors[0]) == "full"


def test_a_refold_that_ends_elsewhere_is_refused(tmp_path):
    """It has to be of everything before the record, and of nothing else: nothing goes over otherwise."""

    async def story(running):
        running.refold.applied = AT - 2
        running.refold.may_end.set()
        assert await running.take(running.batch(AT, AT + 1))
        await running.until(lambda: running.errors)

    running = run(tmp_path, story)
    assert "the refold ends at offset 38, and the adoption is at 40" in str(running.errors[0])
    assert running.table.offsets == []


@pytest.mark.parametrize("waited_for", [False, True])
def test_one_refold_at_a_time(waited_for):
    """Memory is bounded; what events wait for need not wait for what is beside the work."""

    async def story():
        queue = RefoldQueue()
        order = []

        async def fold(name, *, is_waited_for):
            async with queue.turn(is_waited_for=is_waited_for):
                order.append(name)
                await asyncio.sleep(0.05)
                order.append(name)

        await asyncio.gather(fold("a", is_waited_for=False), fold("b", is_waited_for=waited_for))
        return order

    assert asyncio.run(story()) == (["a", "b", "a", "b"] if waited_for else ["a", "a", "b", "b"])
