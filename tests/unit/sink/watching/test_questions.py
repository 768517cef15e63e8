"""What the sink's loop asks Kafka about a cut: while it waits, however long, it is not called blocked."""

import pytest

from models.errors import InfrastructureError
from streams.health.awake import AwakeClock
from streams.health.probes import livez
from streams.runtime.contact import KafkaContact
from streams.sink import runner
from streams.sink.watching.probe import SinkProbe
from tests.oracle.folds import topics_of
from tests.simulation.clock import Clock
from topics.reading import erasures
from topics.records.erasures import erasure_of

QUESTIONS = {
    "an erasure": lambda writer: writer._authority.confirms(0, 7, erasure_of("app-1", b"s" * 16)),
    "who keeps": lambda writer: writer._keeping("0123456789abcdef"),
    "rulesets": lambda writer: writer._rulesets(),
}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def contact(clock):
    return KafkaContact(clock)


@pytest.fixture
def probe(tmp_path, clock, contact):
    found = SinkProbe("app", topics_of(), contact, tmp_path, AwakeClock(clock))
    found.figures.turns()
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_about_a_cut_may_take_any_time(probe, clock, contact, monkeypatch, question):
    """A restart would not help: it is alive; and that brokers do not answer is known."""
    seen = []

    def unanswered(*_, **__):
        for _ in range(20):
            clock.now += 1
            probe.clock.tick()
        seen.append(livez(probe.look()))
        raise InfrastructureError("no broker answers")

    monkeypatch.setattr(runner, "read_rulesets", unanswered)
    monkeypatch.setattr(erasures, "read_entries", unanswered)
    writer = runner._writer(None, {}, topics_of(), 1_000, probe.figures)
    with pytest.raises(InfrastructureError):
        QUESTIONS[question](writer)
    [answer] = seen
    assert answer.status == 200
    assert "it waits for an answer of Kafka" in answer.body.decode()
    clock.now += 3
    assert contact.lost().reason == "no broker answers"


def test_what_is_known_without_kafka_says_nothing_of_its_brokers(probe, contact, clock, monkeypatch):
    """An erasure that was looked up before is no answer of brokers that are lost."""
    monkeypatch.setattr(erasures, "read_entries", lambda *_: {0: {}})
    writer = runner._writer(None, {}, topics_of(), 1_000, probe.figures)
    assert not QUESTIONS["an erasure"](writer)
    assert probe.figures.waits_for is None
    contact.failed("Kafka", "no broker answers")
    clock.now += 3
    assert not QUESTIONS["an erasure"](writer)
    assert contact.lost() is not None
