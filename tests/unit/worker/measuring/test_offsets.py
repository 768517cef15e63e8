"""Since when an open transaction has held the readers of a topic up."""

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException

from consolidator.connecting.offsets import silence
from streams.worker.measuring.offsets import OffsetWatch, Pins
from tests.oracle.folds import topics_of
from tests.simulation.clock import Clock


def test_the_same_stable_offset_below_the_high_watermark_is_one_transaction():
    """Its age is how long that has been seen; of several partitions the oldest counts, each topic for itself."""
    pins = Pins()
    pins.seen("executions", {0: 5, 1: 9}, {0: 7, 1: 9}, 100.0)
    assert pins.oldest_s("executions") == 0
    pins.seen("executions", {0: 5, 1: 9}, {0: 8, 1: 10}, 105.0)
    assert pins.oldest_s("executions") == 5
    assert pins.oldest_s("factors") == 0


def test_a_transaction_that_ends_is_another_one_afterwards():
    """Under load there is always one open, and none of them is old."""
    pins = Pins()
    for number in range(10):
        pins.seen("factors", {0: number}, {0: number + 3}, float(5 * number))
        assert pins.oldest_s("factors") == 0
    pins.seen("factors", {0: 30}, {0: 30}, 60.0)
    assert pins.oldest_s("factors") == 0


def test_a_partition_that_is_gone_pins_nothing():
    """Its new owner looks at it."""
    pins = Pins()
    pins.seen("executions", {0: 5}, {0: 7}, 100.0)
    pins.seen("executions", {1: 5}, {1: 5}, 105.0)
    assert pins.oldest_s("executions") == 0


class Installation:
    """A cluster in which a transaction is open in every topic, and a worker that has partition 0."""

    def __init__(self):
        self.partitions = [0]
        self.error = None

    def ends_of(self, _admin, _topic, partitions, isolation, **_):
        """Where partitions end."""
        if self.error is not None:
            raise KafkaException(self.error)
        return dict.fromkeys(partitions, 5 if isolation == IsolationLevel.READ_COMMITTED else 7)


@pytest.fixture
def installation(monkeypatch):
    found = Installation()
    monkeypatch.setattr("streams.worker.measuring.offsets.ends_of", found.ends_of)
    return found


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(installation, clock):
    # Nothing listens there, and nothing is asked.
    config = {"bootstrap.servers": "127.0.0.1:1"}
    return OffsetWatch(config, topics_of(), lambda: installation.partitions, clock)


def ages(watch):
    return {topic: age for (topic,), age in watch.values()["consolidator_open_transaction_seconds"]}


def test_every_topic_is_watched(watch, clock):
    """In erasures an open transaction holds up what a worker has to know of each erasure."""
    watch.ask()
    clock.now += 5
    watch.ask()
    assert ages(watch) == {topic.name: 5 for topic in topics_of()}


def test_an_age_does_not_grow_while_nobody_sees_it(watch, installation, clock):
    """Kafka does not answer: the transaction may have ended long ago."""
    watch.ask()
    clock.now += 5
    watch.ask()
    installation.error = KafkaError(KafkaError._TIMED_OUT)
    clock.now += 3_600
    watch.ask()
    assert set(ages(watch).values()) == {5}
    installation.error = None
    watch.ask()
    assert set(ages(watch).values()) == {3_605}


def test_a_worker_without_partitions_has_seen_nothing(watch, installation, clock):
    """They have gone to others, who look at them; when they come back, it is seen for the first time."""
    watch.ask()
    clock.now += 5
    watch.ask()
    installation.partitions = []
    watch.ask()
    assert set(ages(watch).values()) == {0}
    clock.now += 60
    installation.partitions = [0]
    watch.ask()
    assert set(ages(watch).values()) == {0}


SILENCE = silence("executions", [0], {})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SILENCE, "a leader that answers: executions: Kafka gave no offset for partition 0 (its leader: not known)"),
        # The whole of Kafka is away, which every client notices; or this user may not ask.
        (KafkaError(KafkaError._ALL_BROKERS_DOWN), None),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), None),
    ],
)
def test_a_leader_that_is_missing_is_named_while_other_brokers_answer(watch, installation, error, says):
    """A partition whose only replica is gone has a reason to stand still; afterwards it has none any more."""
    watch.ask()
    assert watch.leaderless is None
    installation.error = error
    watch.ask()
    assert watch.leaderless == says
    installation.error = None
    watch.ask()
    assert watch.leaderless is None


def test_a_missing_leader_is_nobodys_without_partitions(watch, installation):
    """Whoever has them now looks at it."""
    installation.error = SILENCE
    watch.ask()
    installation.partitions = []
    watch.ask()
    assert watch.leaderless is None
