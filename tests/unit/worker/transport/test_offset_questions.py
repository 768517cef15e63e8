"""Questions for offsets to aiokafka's consumer: what is an answer, and who is asked again."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError
from faust.types import TP

from models.errors import InfrastructureError
from streams.worker.transport import offset_questions
from streams.worker.transport.offset_questions import ask_for_offsets, ask_once

SOURCE, CHANGELOG = TP("executions", 1), TP("changelog", 1)


def asked(*answers, patience_s=60.0):
    """What comes of answers that are given one after the other; and how often leaders were looked for."""
    left, looks = list(answers), []

    async def ask(tps):
        assert tps == sorted([SOURCE, CHANGELOG])
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def leaders(tps):
        looks.append(tps)
        return {tp: "broker 7 at kafka-7:9092" for tp in tps if tp == CHANGELOG}

    found = asyncio.run(ask_for_offsets(ask, {SOURCE, CHANGELOG}, patience_s=patience_s, leaders=leaders))
    return found, looks


@pytest.mark.parametrize("none", [{}, {CHANGELOG: -1}, {CHANGELOG: -1001}, {CHANGELOG: None}])
def test_a_partition_without_an_offset_is_asked_for_again(none):
    """A recovery that took what it got would have nothing to recover there."""
    whole = {SOURCE: 3, CHANGELOG: 0}
    assert asked({SOURCE: 3, **none}, whole) == (whole, [[CHANGELOG]])


@pytest.mark.parametrize("error", [KafkaTimeoutError("in vain"), KafkaConnectionError("reset")])
def test_a_leader_that_is_silent_or_gone_is_asked_again(error):
    """After its successor was looked for: aiokafka would go on asking the one that it knows."""
    whole = {SOURCE: 3, CHANGELOG: 9}
    found, looks = asked(error, error, whole)
    assert found == whole
    assert looks == [sorted([SOURCE, CHANGELOG])] * 2


def test_what_is_refused_is_not_asked_for_again():
    """Aiokafka's own error says why."""
    with pytest.raises(TopicAuthorizationFailedError):
        asked(TopicAuthorizationFailedError("executions"))


def test_a_leader_that_stays_silent_is_named():
    """With topic and partition, when the patience is over."""
    with pytest.raises(InfrastructureError) as failure:
        asked({SOURCE: 3, CHANGELOG: -1}, patience_s=0)
    assert str(failure.value).startswith(
        "changelog: Kafka gave no offset for partition 1 (its leader: broker 7 at kafka-7:9092), for 0 s now"
    )
    with pytest.raises(InfrastructureError, match=r"executions: .* \(its leader: not known\).*in vain"):
        asked(KafkaTimeoutError("in vain"), patience_s=0)


def test_a_question_has_a_limit(monkeypatch):
    """Aiokafka's own is four times as long."""
    monkeypatch.setattr(offset_questions, "ASK_S", 0.01)

    async def never():
        await asyncio.Event().wait()

    with pytest.raises(KafkaTimeoutError):
        asyncio.run(ask_once(never()))
