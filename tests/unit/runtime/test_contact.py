"""Whether Kafka answers: a line when it is lost, one each half a minute, and one when it is back."""

import pytest
from structlog.testing import capture_logs

from streams.runtime.contact import KafkaContact, Lost
from tests.simulation.clock import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def contact(clock):
    return KafkaContact(clock)


def pass_time(clock, contact, seconds, *, each=lambda: None):
    """Let time pass, with something that happens and a look every second; the lines that come of it."""
    with capture_logs() as lines:
        for _ in range(seconds):
            clock.now += 1
            each()
            contact.look()
    return [(line["event"], line.get("waiting_for"), line.get("waited_s")) for line in lines]


def test_an_outage_has_a_line_for_its_beginning_each_half_minute_and_its_end(clock, contact):
    """However often the clients try in vain, there are no more lines."""
    contact.answered("b:1")

    def try_in_vain():
        for _ in range(50):
            contact.asked("b:1")
            contact.failed("b:1", "refused")

    try_in_vain()
    lines = pass_time(clock, contact, 65, each=try_in_vain)
    assert lines == [
        ("Kafka is lost", "an answer of b:1", 2.0),
        ("Kafka is still lost", "an answer of b:1", 32.0),
        ("Kafka is still lost", "an answer of b:1", 62.0),
    ]
    contact.answered("b:1")
    assert [event for event, *_ in pass_time(clock, contact, 60)] == ["Kafka is back"]


def test_a_connection_that_is_open_again_at_once_is_no_news(clock, contact):
    """Brokers close connections that rest."""

    def lose_and_find():
        contact.failed("b:1", "closed")
        contact.answered("b:1")

    assert not pass_time(clock, contact, 60, each=lose_and_find)


def test_a_broker_that_takes_requests_and_answers_none_is_lost(clock, contact):
    """A frozen broker refuses nothing: its silence is told."""
    contact.asked("b:1")
    assert [event for event, *_ in pass_time(clock, contact, 14)] == []
    assert [event for event, *_ in pass_time(clock, contact, 2)] == ["Kafka is lost"]


def test_a_request_that_nobody_waits_for_any_more_is_no_silence(clock, contact):
    """A rebalance cancels what is being fetched."""
    contact.asked("b:1")
    contact.left("b:1")
    assert not pass_time(clock, contact, 50)


def test_one_broker_of_several_is_named_alone(clock, contact):
    """The line names those that are lost, and says that others answer."""
    contact.answered("b:1")
    contact.failed("b:2", "refused")
    with capture_logs() as lines:
        clock.now += 3
        contact.look()
    [line] = lines
    assert (line["waiting_for"], line["others_answer"]) == ("an answer of b:2", True)


def test_a_broker_to_which_nobody_turns_any_more_is_forgotten(clock, contact):
    """Its partitions have moved, and nothing waits for it."""
    contact.failed("b:2", "refused")
    events = [event for event, *_ in pass_time(clock, contact, 70)]
    assert events == ["Kafka is lost", "Kafka is still lost", "Kafka is back"]


def test_others_can_ask_what_is_lost(clock, contact):
    """Who does not answer, for how long, and why; nothing while a broker has failed for a moment only."""
    contact.answered("b:1")
    contact.failed("b:2", "refused")
    assert contact.lost() is None
    clock.now += 5
    assert contact.lost() == Lost(5.0, ("b:2",), "refused")
    contact.asked("b:1")
    clock.now += 15
    assert contact.lost() == Lost(20.0, ("b:1", "b:2"), "no answer")
    contact.answered("b:1")
    contact.answered("b:2")
    assert contact.lost() is None
