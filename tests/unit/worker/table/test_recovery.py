"""When a recovery ends: by its own reading, never by what an earlier one left behind."""

import asyncio

from faust.types import TP

from tests.simulation.idle_app import ScriptedThread, idle_app
from topics.contract.declared import TABLE_NAME

HIGHWATER = 99
STORED = 50
PAST_THE_END = HIGHWATER + 1


def recovering(app):
    """A recovery that has just begun, and the changelog partition that it is of."""
    tp = TP(app.tables[TABLE_NAME].changelog_topic.get_topic_name(), 1)
    recovery = app.tables.recovery
    recovery.add_active(app.tables[TABLE_NAME], tp)
    recovery.active_highwaters[tp] = HIGHWATER
    recovery.active_offsets[tp] = STORED
    recovery._set_recovery_started()
    return recovery, tp


async def seek(recovery, tp, consumer):
    await recovery._seek_offsets(consumer, {tp}, {tp: STORED}, "active")


def test_a_recovery_ends_when_its_position_has_passed_the_highwater(tmp_path):
    """Behind the last row stands a marker that nobody reads: the position tells, and only beyond the high watermark."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            recovery, tp = recovering(app)
            await seek(recovery, tp, ScriptedThread())
            for position in (STORED + 1, HIGHWATER):
                recovery.applied(tp, position)
                recovery.signal_when_complete()
                assert not recovery.signal_recovery_end.is_set()
            recovery.applied(tp, PAST_THE_END)
            recovery.signal_when_complete()
            assert recovery.signal_recovery_end.is_set()

    asyncio.run(scenario())


def test_no_recovery_ends_before_it_has_sought(tmp_path):
    """After a rebalance the positions and high watermarks of the recovery before it end nothing."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            recovery, tp = recovering(app)
            await seek(recovery, tp, ScriptedThread())
            recovery.applied(tp, PAST_THE_END)
            await recovery.on_rebalance(set(), set(), set())
            recovery, tp = recovering(app)
            assert recovery.expected(tp) is None
            recovery.signal_when_complete()
            assert not recovery.signal_recovery_end.is_set()

    asyncio.run(scenario())


def test_the_signal_of_an_earlier_recoverys_end_is_withdrawn(tmp_path):
    """Faust withdraws it every 5 s only; the next recovery may begin before that."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            recovery, tp = recovering(app)
            recovery.signal_recovery_end.set()
            await seek(recovery, tp, ScriptedThread())
            assert not recovery.signal_recovery_end.is_set()

    asyncio.run(scenario())


def test_a_position_of_before_the_seek_does_not_count(tmp_path):
    """What an earlier owner of the same partition had read is forgotten: reading begins behind the last stored row."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            recovery, tp = recovering(app)
            recovery.applied(tp, PAST_THE_END)
            recovery.active_offsets[tp] = STORED
            consumer = ScriptedThread()
            await seek(recovery, tp, consumer)
            recovery.signal_when_complete()
            assert not recovery.signal_recovery_end.is_set()
            assert consumer.sought == {tp: recovery.expected(tp)} == {tp: STORED + 1}

    asyncio.run(scenario())


def test_a_recovery_does_not_end_on_a_leader_that_is_silent(tmp_path):
    """A step that takes longer than Faust waits goes on; Faust would take the recovery's service for stopped."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            answered = []

            async def slow():
                await asyncio.sleep(0.05)
                answered.append(True)

            await app.tables.recovery._wait(slow(), timeout=0.01)
            assert answered

    asyncio.run(scenario())


def test_what_is_read_and_what_remains_can_be_asked(tmp_path):
    """By partition, for those who watch; what was read counts on over several recoveries."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            recovery, tp = recovering(app)
            await seek(recovery, tp, ScriptedThread())
            assert recovery.remaining() == {1: HIGHWATER - STORED}
            recovery.applied(tp, STORED + 11)
            assert (recovery.remaining(), recovery.restored) == ({1: HIGHWATER - STORED - 10}, {1: 10})
            recovery.applied(tp, PAST_THE_END)
            assert (recovery.remaining(), recovery.restored) == ({1: 0}, {1: HIGHWATER - STORED})

    asyncio.run(scenario())
