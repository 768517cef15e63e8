"""Which numbers are offsets, and which are no answer."""

from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_END, OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from consolidator.connecting.offsets import (
    ask_for_offsets,
    committed_offset,
    delivered_offset,
    offset_at_time,
    require_offsets,
    unanswered,
)

NO_ANSWER = [-1, -2, -1001, -1000]


def placed(offset, error=None):
    """A place as the client returns it; only the client itself can put an error beside one."""
    if error is None:
        return TopicPartition("topic", 3, offset)
    return SimpleNamespace(topic="topic", partition=3, offset=offset, error=KafkaError(error))


class Client:
    """Knows the leader of one partition, or cannot be asked."""

    def __init__(self, *, answers=True):
        self._answers = answers

    def list_topics(self, topic, timeout):
        assert timeout > 0
        if not self._answers:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        partitions = {3: SimpleNamespace(leader=1), 4: SimpleNamespace(leader=2)}
        brokers = {1: SimpleNamespace(host="one", port=9092)}
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=partitions)}, brokers=brokers)


def test_every_partition_has_a_first_offset_and_an_end():
    """What is left out of an answer, or is below 0, is none."""
    assert unanswered({0: 0, 1: -1, 2: -1001, 4: None}, [0, 1, 2, 3, 4]) == [1, 2, 3, 4]
    assert require_offsets(None, "topic", {0: 0, 3: 7, 9: -1}, [0, 3]) == {0: 0, 3: 7}


@pytest.mark.parametrize("offset", NO_ANSWER)
def test_a_partition_without_an_answer_is_named_with_its_leader(offset):
    """So that a person knows which broker to look at."""
    with pytest.raises(KafkaException) as failure:
        require_offsets(Client(), "topic", {3: offset, 5: 2}, [3, 4, 5])
    error = failure.value.args[0]
    assert error.code() == KafkaError.LEADER_NOT_AVAILABLE
    assert error.str() == (
        "topic: Kafka gave no offset for partition 3 (its leader: broker 1 at one:9092), "
        "partition 4 (its leader: broker 2)"
    )
    with pytest.raises(KafkaException, match=r"partition 3 \(its leader: not known"):
        require_offsets(Client(answers=False), "topic", {3: offset}, [3])


def test_a_group_may_have_committed_nothing():
    """That is what -1001 means there, and nothing else below 0."""
    assert committed_offset(placed(12)) == 12
    assert committed_offset(placed(0)) == 0
    assert committed_offset(placed(OFFSET_INVALID)) is None
    for other in (OFFSET_END, -2, -1000):
        with pytest.raises(KafkaException, match="partition 3"):
            committed_offset(placed(other))


def test_no_record_may_be_that_late():
    """That is what -1 means there, and nothing else below 0."""
    assert offset_at_time(placed(12)) == 12
    assert offset_at_time(placed(OFFSET_END)) is None
    for other in (OFFSET_INVALID, -2, -1000):
        with pytest.raises(KafkaException, match="partition 3"):
            offset_at_time(placed(other))


@pytest.mark.parametrize("judge", [committed_offset, offset_at_time])
@pytest.mark.parametrize("offset", [OFFSET_END, OFFSET_INVALID, 5])
def test_an_error_beside_an_offset_is_an_error(judge, offset):
    """The client leaves the offset as it was, or sets one that would mean something."""
    with pytest.raises(KafkaException, match="UNSTABLE_OFFSET_COMMIT"):
        judge(placed(offset, KafkaError.UNSTABLE_OFFSET_COMMIT))


def test_a_delivered_record_may_stand_nobody_knows_where():
    """A broker that has the record already does not always say where; it is not at offset 0."""
    assert delivered_offset(SimpleNamespace(offset=lambda: 0)) == 0
    assert delivered_offset(SimpleNamespace(offset=lambda: OFFSET_INVALID)) is None
    assert delivered_offset(SimpleNamespace(offset=lambda: None)) is None


def test_a_question_is_asked_again_while_nobody_answers():
    """A silent leader, or a client that waited in vain; what is refused is not asked for again."""
    answers = [KafkaError._TIMED_OUT, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.OFFSET_NOT_AVAILABLE]
    silent = []

    def ask():
        if answers:
            raise KafkaException(KafkaError(answers.pop(0)))
        return {0: 5}

    assert ask_for_offsets(ask, limit_s=30, silent=silent.append) == {0: 5}
    assert len(silent) == 3
    answers = [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        ask_for_offsets(ask, limit_s=30)


def test_nobody_is_asked_for_longer_than_the_caller_waits():
    """The last failure is the caller's."""
    with pytest.raises(KafkaException, match="_TIMED_OUT"):
        ask_for_offsets(lambda: (_ for _ in ()).throw(KafkaException(KafkaError(KafkaError._TIMED_OUT))), limit_s=0.2)
