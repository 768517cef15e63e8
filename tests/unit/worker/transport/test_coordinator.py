"""What aiokafka's coordinator makes of answers, once it is adapted."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import errors
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetFetchResponse_v1, OffsetFetchResponse_v3
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from streams.worker.transport.coordinator import judge_committed

TP = TopicPartition("executions", 1)
LOADING, NOT_AVAILABLE, MOVED, REFUSED = 14, 15, 16, 30


def fetched(*responses):
    """What aiokafka's loop gets for answers that come one after the other; and how often the coordinator was left."""
    left, lost = list(responses), []

    async def answer(_request):
        return left.pop(0)

    async def known():
        return None

    coordinator = SimpleNamespace(
        group_id="group",
        _send_req=answer,
        _retry_backoff_ms=1,
        ensure_coordinator_known=known,
        coordinator_dead=lambda: lost.append(len(left)),
    )
    judge_committed(coordinator)
    coordinator._do_fetch_commit_offsets = lambda tps: GroupCoordinator._do_fetch_commit_offsets(coordinator, tps)
    offsets = asyncio.run(GroupCoordinator.fetch_committed_offsets(coordinator, [TP]))
    assert left == []
    return offsets, len(lost)


def whole(offset):
    """An answer without an error."""
    return OffsetFetchResponse_v3(0, [(TP.topic, [(TP.partition, offset, "", 0)])], 0)


@pytest.mark.parametrize(("code", "is_lost"), [(LOADING, 0), (NOT_AVAILABLE, 1), (MOVED, 1)])
def test_a_coordinator_that_does_not_know_the_offsets_is_asked_again(code, is_lost):
    """Its answer has no partition: taken for "nothing is committed", a state that lacks events would not be noticed."""
    empty = OffsetFetchResponse_v3(0, [], code)
    assert fetched(empty, empty, whole(7)) == ({TP: OffsetAndMetadata(7, "")}, 2 * is_lost)


def test_a_group_that_is_refused_is_an_error():
    """Nothing will come of asking again."""
    with pytest.raises(errors.GroupAuthorizationFailedError, match="committed offsets of group group"):
        fetched(OffsetFetchResponse_v3(0, [], REFUSED))


def test_nothing_committed_is_an_answer():
    """A group that begins; the older answer has no error of its own."""
    assert fetched(whole(-1)) == ({}, 0)
    assert fetched(OffsetFetchResponse_v1([(TP.topic, [(TP.partition, -1, "", 0)])])) == ({}, 0)
