"""What a partition's transactions say when Kafka refuses, by the step that hears of it first."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.partition.batch import Batch, Outgoing
from streams.worker.round import Membership
from streams.worker.transactions import partition_transactions
from streams.worker.transactions.partition_transactions import PartitionTransactions

FENCED = KafkaException(KafkaError(KafkaError._FENCED, "fenced by a newer instance", fatal=True))
PASSING = KafkaException(KafkaError(KafkaError._TIMED_OUT, "retry call to resume", retriable=True))
FORGOTTEN = KafkaException(KafkaError(KafkaError.INVALID_PRODUCER_ID_MAPPING, "forgotten", txn_requires_abort=True))
STATE = KafkaException(KafkaError(KafkaError._STATE, "erroneous state"))
FATAL = KafkaException(KafkaError(KafkaError._FATAL))
ROWS = [(b"key", b"row")]
ME = Membership("app", 1, "me")


class ScriptedProducer:
    """Behaves as librdkafka's transactional producer does after another one took its id over."""

    def __init__(self, failures):
        self._failures = failures
        self._on_delivery = None
        self._is_open = False
        self.calls = []

    def _step(self, name):
        self.calls.append(name)
        failure = self._failures.get(name)
        if isinstance(failure, list):
            failure = failure.pop() if failure else None
        if failure is not None:
            raise failure

    def begin_transaction(self):
        if self._is_open:
            raise self._failures.get("failed", STATE)
        self._step("begin")
        self._is_open = True

    def produce(self, *_, on_delivery=None, **__):
        self._step("produce")
        self._on_delivery = on_delivery

    def send_offsets_to_transaction(self, *_):
        self._step("offsets")

    def poll(self, _):
        self._step("poll")

    def flush(self, _):
        self._step("flush")
        if self._on_delivery is not None:
            self._on_delivery(KafkaError(KafkaError._PURGE_QUEUE), None)
        left = self._failures.get("left", 0)
        if isinstance(left, list):
            return left.pop() if left else 0
        return left

    def commit_transaction(self, _):
        self._step("commit")
        self._is_open = False

    def abort_transaction(self, _):
        self._step("abort")
        self._is_open = False

    def init_transactions(self, _):
        self._step("init")


@pytest.fixture
def transactions(monkeypatch):
    def build(patience_s=60, confirm=lambda _: None, **failures):
        producer = ScriptedProducer(failures)
        monkeypatch.setattr(partition_transactions, "Producer", lambda *_, **__: producer)
        return PartitionTransactions(Connection("localhost:9"), "app", 3, patience_s=patience_s, confirm=confirm)

    return build


def batch():
    return Batch("executions", 3, 0, 1, [])


def test_a_producer_that_was_fenced_between_two_calls_says_so_in_produce(transactions):
    with pytest.raises(InfrastructureError, match=r"fenced in produce: .* newer instance"):
        transactions(produce=FATAL, begin=FENCED).produce([Outgoing("t", 0, b"k", b"v")])
    with pytest.raises(InfrastructureError, match="partition 3: fenced in produce"):
        transactions(produce=FATAL, begin=FENCED).produce_rows("changelog", 3, ROWS)


def test_a_fatal_error_without_a_known_cause_is_told_as_it_is(transactions):
    with pytest.raises(InfrastructureError, match="partition 3: produce failed: "):
        transactions(produce=FATAL).produce([Outgoing("t", 0, b"k", b"v")])


def test_a_record_that_was_not_delivered_fails_the_commit_with_the_cause(transactions):
    refused = transactions(commit=FENCED)
    refused.begin()
    refused.produce_rows("changelog", 3, ROWS)
    with pytest.raises(InfrastructureError, match="partition 3: fenced in commit_transaction"):
        refused.commit([batch()], ME)


def test_a_fatal_error_that_the_client_loses_is_named_all_the_same(transactions):
    """A callback that runs after the error's own makes Python raise a SystemError in its place."""
    lost = SystemError("returned NULL without setting an exception")
    for step in ("flush", "commit"):
        fenced = transactions(**{step: lost, "begin": FENCED})
        fenced.produce_rows("changelog", 3, ROWS)
        with pytest.raises(InfrastructureError, match=f"partition 3: fenced in {step}"):
            fenced.commit([batch()], ME)


def test_records_that_nobody_answers_for_are_counted(transactions):
    silent = transactions(patience_s=0, left=7)
    silent.begin()
    with pytest.raises(InfrastructureError, match="7 records of a transaction were not delivered within 0 s"):
        silent.commit([batch()], ME)


def test_slow_brokers_are_waited_for(transactions):
    """One look finds records that are still under way; nothing has failed."""
    slow = transactions(left=[0, 2, 5])
    slow.begin()
    slow.commit([batch()], ME)
    assert slow._producer.calls == ["begin", "offsets", "flush", "flush", "flush", "commit"]


def test_records_that_librdkafka_keeps_of_a_failed_transaction_are_not_waited_for(transactions):
    """The commit says at once why it failed, instead of a word on slow brokers a minute later."""
    failed = transactions(left=7, failed=FORGOTTEN, commit=FORGOTTEN)
    failed.begin()
    with pytest.raises(InfrastructureError, match="partition 3: commit_transaction failed: forgotten"):
        failed.commit([batch()], ME)


def test_a_commit_without_an_answer_is_resumed_and_nothing_is_produced_again(transactions):
    passing = transactions(commit=[PASSING, PASSING])
    passing.begin()
    passing.produce_rows("changelog", 3, ROWS)
    passing.commit([batch()], ME)
    assert passing._producer.calls == ["begin", "produce", "offsets", "flush", "commit", "commit", "commit"]


def test_patience_with_brokers_ends(transactions):
    impatient = transactions(patience_s=0, commit=PASSING)
    impatient.begin()
    with pytest.raises(InfrastructureError, match="partition 3: commit_transaction failed: retry call to resume"):
        impatient.commit([batch()], ME)


@pytest.fixture
def rested(transactions, monkeypatch):
    """Transactions whose id has rested, as any pause is one here, with all records of the next one produced."""

    def build(**options):
        monkeypatch.setattr(partition_transactions, "_RESTED_S", 0)
        found = transactions(**options)
        found.fence()
        found.begin()
        found.produce(Outgoing("t", 0, b"k", b"v") for _ in range(2))
        found.produce_rows("changelog", 3, ROWS)
        return found

    return build


def test_an_id_that_was_forgotten_while_it_rested_is_initialised_again(rested):
    """The group is asked first, then everything is produced once more; both in this order, and once."""
    asked = []
    forgotten = rested(offsets=[FORGOTTEN], confirm=asked.append)
    forgotten.commit([batch()], ME)
    assert asked == [ME]
    everything = ["begin", "produce", "produce", "produce", "flush"]
    assert forgotten._producer.calls == [
        "init",
        *everything,
        "offsets",
        "abort",
        *everything,
        "offsets",
        "flush",
        "commit",
    ]


def test_an_id_may_turn_out_to_be_forgotten_while_records_are_produced(rested):
    """The producer takes no more then; what it took and what it did not are produced once more."""
    forgotten = rested(produce=[None, None, None, STATE, None], offsets=[FORGOTTEN])
    forgotten.commit([batch()], ME)
    calls = forgotten._producer.calls
    assert calls[calls.index("abort") :].count("produce") == 3


def test_an_id_is_initialised_again_though_librdkafka_keeps_records_of_the_failed_transaction(rested):
    """They would be waited for until they time out; the abort drops them."""
    forgotten = rested(left=[0, 0, 3], failed=FORGOTTEN, offsets=[FORGOTTEN])
    forgotten.commit([batch()], ME)
    calls = forgotten._producer.calls
    assert calls[: calls.index("abort")].count("flush") == 1
    assert calls[-2:] == ["flush", "commit"]


def test_another_refusal_while_records_are_produced_is_an_error(rested):
    """At once, as ever."""
    with pytest.raises(InfrastructureError, match="partition 3: produce failed"):
        rested(produce=FATAL)


def test_an_id_that_rested_and_is_known_is_used_as_it_is(rested):
    """All that the pause costs is that the records are there before the offsets are sent."""
    known = rested(confirm=None)
    known.commit([batch()], ME)
    everything = ["begin", "produce", "produce", "produce", "flush"]
    assert known._producer.calls == ["init", *everything, "offsets", "flush", "commit"]


def test_whoever_has_lost_the_partition_initialises_nothing(rested):
    """The group is asked before anything is done with the id."""

    def confirm(_):
        raise InfrastructureError("partition 3: fenced in heartbeat")

    lost = rested(offsets=[FORGOTTEN], confirm=confirm)
    with pytest.raises(InfrastructureError, match="fenced in heartbeat"):
        lost.commit([batch()], ME)
    assert "abort" not in lost._producer.calls


def test_an_id_that_somebody_else_initialised_stays_fenced(rested):
    """The coordinator refuses the abort then, and the worker ends as after any other fence."""
    with pytest.raises(InfrastructureError, match=r"fenced in abort_transaction: .*nothing of this batch took effect"):
        rested(offsets=[FORGOTTEN], abort=FENCED).commit([batch()], ME)


def test_an_id_that_stays_forgotten_is_an_error(rested):
    """It is initialised again once."""
    with pytest.raises(InfrastructureError, match="send_offsets_to_transaction failed: forgotten; nothing was ack"):
        rested(offsets=[FORGOTTEN, FORGOTTEN]).commit([batch()], ME)


def test_a_commit_that_was_fenced_may_have_taken_effect(transactions):
    """Its answer may have been lost, and only then have a new owner's fence refused it when it was asked for again."""
    with pytest.raises(InfrastructureError, match=r"fenced in commit_transaction: .*not known here whether"):
        transactions(commit=FENCED).commit([batch()], ME)
    with pytest.raises(InfrastructureError, match=r"fenced in send_offsets.*nothing of this batch took effect here"):
        transactions(offsets=FENCED).commit([batch()], ME)
    with pytest.raises(InfrastructureError, match=r"commit_transaction failed: .*not known here whether"):
        transactions(patience_s=0, commit=[PASSING]).commit([batch()], ME)


def test_a_row_that_stands_nobody_knows_where_is_not_committed(transactions):
    """Its offset is what the database would say that it has of the changelog."""
    nowhere = transactions()
    nowhere.begin()
    nowhere.produce_rows("changelog", 3, ROWS)
    delivered = nowhere._producer._on_delivery
    nowhere._producer._on_delivery = lambda *_: delivered(None, SimpleNamespace(offset=lambda: -1001))
    with pytest.raises(InfrastructureError, match="not known where a record of a transaction stands"):
        nowhere.commit([batch()], ME)
    assert "commit" not in nowhere._producer.calls


FULL = BufferError("Local: Queue full")


def test_a_full_queue_is_waited_for_where_the_commit_is(transactions):
    """Producing goes on at once, on the event loop; what there was no room for comes first of all, in its order."""
    found = transactions(produce=[FULL] * 4)
    found.begin()
    found.produce([Outgoing("t", 0, b"k", b"v", [("h", b"t")])] * 3)
    found.produce_rows("changelog", 3, ROWS)
    calls = found._producer.calls
    assert calls == ["begin", "produce"]
    found.commit([batch()], ME)
    assert calls[2:] == ["produce", "poll"] * 3 + ["produce"] * 4 + ["offsets", "flush", "commit"]


def test_a_queue_that_stays_full_ends_the_worker_when_its_patience_does(transactions):
    """The brokers take nothing."""
    found = transactions(patience_s=0, produce=[FULL] * 100)
    found.begin()
    found.produce([Outgoing("t", 0, b"k", b"v")] * 2)
    with pytest.raises(InfrastructureError, match="2 records of a transaction were not delivered within 0 s"):
        found.commit([batch()], ME)


def test_what_waited_in_a_transaction_is_not_part_of_the_next(transactions):
    """It was given up with it."""
    found = transactions(produce=[FULL])
    found.begin()
    found.produce([Outgoing("t", 0, b"k", b"v")])
    found._producer.abort_transaction(0)
    found.begin()
    found.produce([Outgoing("t", 0, b"k", b"v")])
    assert found._producer.calls == ["begin", "produce", "abort", "begin", "produce"]
