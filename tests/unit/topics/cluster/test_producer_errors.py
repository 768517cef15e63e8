"""What a producer's errors come down to."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from topics.cluster.producer_errors import cause_of

FENCED = KafkaError(KafkaError._FENCED, "fenced by a newer instance", fatal=True)
REFUSED = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
FATAL = KafkaError(KafkaError._FATAL)
LOST = SystemError("<method 'flush' of 'cimpl.Producer' objects> returned NULL without setting an exception")


class AskedProducer:
    """Answers the one question that is asked of a producer."""

    def __init__(self, answer=None):
        self._answer = answer
        self.asked = 0

    def begin_transaction(self):
        self.asked += 1
        if self._answer is not None:
            raise KafkaException(self._answer)


def test_an_error_with_a_cause_of_its_own_needs_no_question():
    producer = AskedProducer(FENCED)
    assert cause_of(KafkaException(REFUSED), producer) is REFUSED
    assert producer.asked == 0


@pytest.mark.parametrize("error", [KafkaException(FATAL), LOST])
def test_the_cause_of_a_fatal_error_is_asked_for(error):
    """Whether the client raises the fatal error or loses it on the way out of a callback."""
    assert cause_of(error, AskedProducer(FENCED)) is FENCED


@pytest.mark.parametrize(("error", "cause"), [(KafkaException(FATAL), FATAL), (LOST, LOST)])
def test_an_error_without_a_known_cause_is_its_own(error, cause):
    assert cause_of(error, AskedProducer()) is cause


def test_an_error_that_is_not_the_clients_is_its_own():
    error = BufferError("the queue is full")
    assert cause_of(error, AskedProducer(FENCED)) is error
