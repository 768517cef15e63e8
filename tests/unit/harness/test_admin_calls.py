"""Questions of tests to a cluster's administration: asked again while their failure may pass."""

from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.real_kafka import admin_calls
from tests.real_kafka.admin_calls import ASK_S, answered, asked

LOST = KafkaException(KafkaError(KafkaError._TIMED_OUT))
THERE = KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS))
DENIED = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))


def scripted(*answers):
    """A question with these answers, and how long each may take."""
    left, limits = list(answers), []

    def question(ask_s):
        limits.append(ask_s)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return question, limits


def test_a_question_that_was_lost_is_asked_again():
    """With its own short time, each time."""
    question, limits = scripted(LOST, TimeoutError(), "answer")
    assert asked(question) == "answer"
    assert limits == [ASK_S] * 3


def test_a_change_whose_answer_was_lost_is_done():
    """What refuses it the second time says that it took effect; the first time it is an error."""
    question, _ = scripted(LOST, THERE)
    assert asked(question, done={KafkaError.TOPIC_ALREADY_EXISTS}) is None
    question, _ = scripted(THERE)
    with pytest.raises(KafkaException):
        asked(question, done={KafkaError.TOPIC_ALREADY_EXISTS})


def test_a_refusal_is_told_at_once():
    """It does not pass."""
    question, limits = scripted(DENIED, "never")
    with pytest.raises(KafkaException):
        asked(question)
    assert len(limits) == 1


def test_patience_ends_before_the_tests_own_does():
    """The last question's failure is told; a question that is never answered takes no longer than that."""
    question, _ = scripted(LOST, LOST)
    with pytest.raises(KafkaException):
        asked(question, limit_s=0)


def test_a_promise_that_nobody_keeps_is_asked_for_again(monkeypatch):
    """Librdkafka forgets the questions of a client that is gone."""
    monkeypatch.setattr(admin_calls, "_MARGIN_S", 0.01 - ASK_S)
    kept: Future[str] = Future()
    kept.set_result("answer")
    question, limits = scripted(Future(), kept)
    assert answered(question) == "answer"
    assert len(limits) == 2
