"""The owner of the partitions: what an assignment began ends with it."""

import asyncio
import threading
from itertools import count
from types import SimpleNamespace

import pytest
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from models.errors import InfrastructureError
from streams.core.rules import Rules
from streams.partition.observer import Observer
from streams.partition.ruleset_switches import NoSwitches
from streams.rulesets.catalogue_file import load_catalogue
from streams.worker import assignment as module
from streams.worker.assignment import Engine
from streams.worker.ruleset_adoption import Resumed
from tests.oracle.folds import topics_of
from topics.records.erasure_authority import NoErasure

LIMIT_S = 10


class Transactions:
    """Of one partition, without Kafka."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def fence(self) -> None:
        """Nobody is there to be shut out."""

    def close(self) -> None:
        """Nothing is open."""


class HeldRulesets:
    """Holds the first partition that asks until it is told to go on."""

    def __init__(self) -> None:
        self.own = Rules(load_catalogue(None))
        self.erasures = NoErasure()
        self.resumed: list[int] = []
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def resume(self, partition: int, _mark: object) -> Resumed:
        """Note who asks."""
        self.resumed.append(partition)
        if len(self.resumed) == 1:
            self.asked.set()
            assert self.go_on.wait(LIMIT_S), "was never told to go on"
            if self.error is not None:
                raise self.error
        return Resumed(self.own)

    def switches(self, _partition: int) -> NoSwitches:
        """None."""
        return NoSwitches()


class Consumer:
    """Of an empty source."""

    def __init__(self) -> None:
        self.thread = self

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        """All 0."""
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: object) -> dict[TP, int]:
        """All 0."""
        return dict.fromkeys(tps, 0)

    async def committed(self, _tp: TP) -> None:
        """Nothing is."""


@pytest.fixture
def rulesets():
    return HeldRulesets()


@pytest.fixture
def engine(monkeypatch, rulesets, tmp_path):
    """An engine without Kafka, whose worker must not end."""
    monkeypatch.setattr(module, "PartitionTransactions", Transactions)
    monkeypatch.setattr(module.RoundProducers, "fence", lambda *_: {})
    monkeypatch.setattr(module, "SourceWatch", lambda *_: SimpleNamespace(look=lambda: "topic-id"))
    monkeypatch.setattr(module, "outwait", lambda *_, **__: None)
    rows = SimpleNamespace(get=lambda _key: None)
    store = SimpleNamespace(rows=lambda _partition: rows, persisted_offset=lambda _tp: None)
    return Engine(
        None,
        "app",
        topics_of(2),
        rulesets,
        max_event_bytes=1_000,
        patience_s=1,
        observer=Observer(),
        store=lambda: store,
        refold_dir=tmp_path,
        on_fatal=pytest.fail,
    )


async def overtaken(engine, rulesets):
    """A beginning during which its partitions go and come back; how it ended, and how the next one did."""
    loop = asyncio.get_running_loop()
    await engine.acquire({0, 1})
    held = dict(engine._transactions)
    first = asyncio.create_task(engine.begin(Consumer(), {0, 1}))
    assert await loop.run_in_executor(None, rulesets.asked.wait, LIMIT_S)
    await engine.release({0, 1})
    await engine.acquire({0, 1})
    rulesets.go_on.set()
    second = await engine.begin(Consumer(), {0, 1})
    [ended] = await asyncio.gather(first, return_exceptions=True)
    lanes = dict(engine._lanes)
    await engine.close()
    assert all(lanes[partition].transactions is not held[partition] for partition in (0, 1))
    return ended, second


@pytest.mark.parametrize("error", [None, InfrastructureError("fenced")])
def test_a_beginning_ends_when_its_partitions_come_again(engine, rulesets, error):
    """It must not go on with what the next assignment has: each would write an adoption into the other's partition."""
    rulesets.error = error
    ended, starts = asyncio.run(overtaken(engine, rulesets))
    assert isinstance(ended, RebalanceAgain)
    assert starts == {0: 0, 1: 0}
    [held, *rest] = rulesets.resumed
    assert sorted(rest) == [0, 1]
    assert held in {0, 1}


async def begun_while_released(engine, rulesets):
    """A beginning while its partitions are being released, which waits for a commit; how it ended."""
    rulesets.go_on.set()
    await engine.acquire({0, 1})
    await engine.begin(Consumer(), {0, 1})
    commit = asyncio.get_running_loop().create_future()
    engine._lanes[0].committing = commit
    releasing = asyncio.create_task(engine.release({0, 1}))
    # It runs up to the commit.
    await asyncio.sleep(0)
    beginning = asyncio.create_task(engine.begin(Consumer(), {0, 1}))
    [ended] = await asyncio.gather(beginning, return_exceptions=True)
    assert not releasing.done()
    commit.set_result(None)
    await releasing
    left = dict(engine._lanes), dict(engine._adoptions)
    await engine.close()
    return ended, left


def test_a_beginning_makes_nothing_of_partitions_that_are_being_released(engine, rulesets):
    """Its lanes and adoptions would be nobody's: one announced its ruleset with a producer that was closed."""
    ended, left = asyncio.run(begun_while_released(engine, rulesets))
    assert isinstance(ended, RebalanceAgain)
    assert left == ({}, {})


def test_a_beginning_ends_the_adoptions_that_a_cancelled_one_has_left(engine, rulesets, monkeypatch):
    """Two at a time would each write the adoption."""
    stopped = []

    class Adoption:
        def __init__(self, number):
            self.number = number

        async def stop(self):
            stopped.append(self.number)

    numbers = count()
    monkeypatch.setattr(engine, "_adoption", lambda *_: Adoption(next(numbers)))
    monkeypatch.setattr(rulesets, "resume", lambda *_: Resumed(rulesets.own, catalogue="{}"))

    async def begun_twice():
        await engine.acquire({0})
        await engine.begin(Consumer(), {0})
        await engine.begin(Consumer(), {0})
        assert stopped == [0]
        await engine.close()

    asyncio.run(begun_twice())
    assert stopped == [0, 1]
