"""The leader of a changelog's partition falls silent while a worker takes the partition over.

Frozen (SIGSTOP), it keeps its connections and answers nothing; the cluster of this module waits for a minute until it
elects another one. Asked for the partition's end, librdkafka then answers with -1001, and no error.
"""

import random
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from consolidator.connecting.connection import Connection
from consolidator.connecting.offsets import ASK_S
from models.errors import InfrastructureError
from streams.worker.transactions.earlier_owners import outwait
from tests.fault_runs.scale import SEED, scale
from tests.fault_runs.steady_load import SteadyLoad
from tests.real_kafka.cluster import Cluster
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import WorkerProcess, tails, wait_shared_out, wait_until
from topics.reading.positions import Beginning
from topics.reading.progress import GroupProgress
from topics.reading.reader import TopicReader

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROUNDS = scale("SILENT_LEADERS", short=1, long=20)
RATE = 200
PASSING = 40
"""Rounds after which the worker dies in the middle of one."""

PARTITIONS = 6
SURVIVORS = 2
LIMIT_S = 90.0
VICTIM_SESSION_S = "10"
"""The group notices soon that the victim is dead."""

SILENT_S = 2 * ASK_S + 5
"""More than one question goes unanswered."""

LONGEST_SILENCE_S = 30.0
"""A frozen node may coordinate what the takeover needs before it asks: then nobody asks within any time."""

ACQUIRED = "partitions acquired"
UNANSWERED = "a broker does not list open transactions; it is asked again"

BROKER_SESSION_TIMEOUT_MS = 60_000
PROPERTIES = {
    # So that everything that others lead goes on without the frozen node.
    "replica.lag.time.max.ms": "2000",
}


@pytest.fixture(scope="module")
def patient_cluster(tmp_path_factory, kafka_cache_dir) -> Iterator[Cluster]:
    """Three brokers that wait for a silent one for a minute."""
    found = Cluster(
        tmp_path_factory.mktemp("patient-cluster"),
        kafka_cache_dir,
        broker_session_timeout_ms=BROKER_SESSION_TIMEOUT_MS,
        properties=PROPERTIES,
    )
    try:
        found.start()
        yield found
    finally:
        found.close()


@pytest.fixture
def installation(patient_cluster, tmp_path) -> Iterator[Installation]:
    """Six partitions: two for each of three workers."""
    found = Installation(
        patient_cluster.bootstrap_servers,
        tmp_path,
        CONSOLIDATOR_REPLICATION_FACTOR="3",
        CONSOLIDATOR_PARTITIONS=str(PARTITIONS),
        # None may end here. A frozen coordinator counts the silence against the workers when it goes on, and gives
        # the partitions of one to another, which fences the first; and a busy machine keeps heartbeats back.
        CONSOLIDATOR_SESSION_TIMEOUT_S=str(LIMIT_S),
    )
    found.create_topics()
    patient_cluster.wait_in_sync(topic.name for topic in found.topics)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def partition(patient_cluster, installation) -> int:
    """One whose changelog is led by another node than the group's coordinator, which has to answer."""
    # Kafka's own topic of offsets is made for the first who asks.
    assert not any(installation.committed().values())
    changelog, coordinator = installation.topics.changelog.name, patient_cluster.group_coordinator(installation.name)
    return next(each for each in range(PARTITIONS) if patient_cluster.leader(changelog, each) != coordinator)


@pytest.fixture
def left_open(installation, partition) -> Producer:
    """An earlier owner's producer, with a transaction that is open in the changelog's partition."""
    producer = Producer({**installation.config, "transactional.id": f"{installation.name}-earlier"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    producer.produce(installation.topics.changelog.name, b"row", b"key", partition)
    assert producer.flush(LIMIT_S) == 0
    return producer


def take_over(installation, partition, patience_s, failures):
    """A new owner of a partition that waits for earlier ones, in a thread."""
    connection = Connection(installation.variables["KAFKA_BOOTSTRAP_SERVERS"])
    executions, changelog = installation.topics.executions.name, installation.topics.changelog.name

    def wait():
        try:
            outwait(connection, installation.name, executions, changelog, {partition}, patience_s=patience_s)
        except InfrastructureError as error:
            failures.append(error)

    owner = threading.Thread(target=wait, name="new owner")
    owner.start()
    return owner


def test_a_new_owner_waits_for_a_leader_that_is_silent(patient_cluster, installation, partition, left_open):
    """It neither goes on nor gives up before the leader has said that nothing is open."""
    failures = []
    with patient_cluster.frozen(patient_cluster.leader(installation.topics.changelog.name, partition)):
        owner = take_over(installation, partition, LIMIT_S, failures)
        owner.join(SILENT_S)
        assert owner.is_alive()
    owner.join(2 * ASK_S)
    assert owner.is_alive()
    left_open.abort_transaction(LIMIT_S)
    owner.join(LIMIT_S)
    assert not owner.is_alive()
    assert failures == []


def test_a_leader_that_stays_silent_is_an_error_that_names_it(patient_cluster, installation, partition):
    """Topic, partition and leader; for a new owner, and for whoever reads the topic."""
    changelog = installation.topics.changelog.name
    leader = patient_cluster.leader(changelog, partition)
    failures = []
    with patient_cluster.frozen(leader):
        owner = take_over(installation, partition, ASK_S, failures)
        owner.join(LIMIT_S)
        assert not owner.is_alive()
        with pytest.raises(InfrastructureError, match=changelog):
            TopicReader(installation.config, changelog, Beginning(), settled=range(PARTITIONS), timeout_s=ASK_S)
        with (
            GroupProgress(installation.config, installation.name, installation.topics) as progress,
            pytest.raises(InfrastructureError, match=changelog),
        ):
            progress.wait_decided(installation.topics.changelog, limit_s=ASK_S)
    [failure] = failures
    assert f"{changelog}: Kafka gave no offset for" in str(failure)
    assert f"partition {partition} (its leader: broker {leader} at " in str(failure)


def wait_alive(workers, condition, what):
    """Wait for something for which none of the workers may end."""

    def met():
        assert all(worker.exit_code is None for worker in workers), tails(workers)
        return condition()

    return wait_until(met, what, limit_s=LIMIT_S, details=lambda: tails(workers))


def open_elsewhere(installation, cluster, victim) -> int:
    """A partition of the victim's in which its transaction is open; led, if any is, by no coordinator of the group."""
    changelog = installation.topics.changelog.name
    stable, ends = installation.stable_ends(changelog), installation.ends(changelog)
    still_open = [partition for partition in sorted(victim.owned()) if stable[partition] < ends[partition]]
    coordinator = cluster.group_coordinator(installation.name)
    elsewhere = [each for each in still_open if cluster.leader(changelog, each) != coordinator]
    return random.Random(SEED).choice(elsewhere or still_open or sorted(victim.owned()))


@pytest.mark.timeout(300 + ROUNDS * 150)
def test_a_worker_dies_in_a_round_and_its_changelogs_leader_is_silent(patient_cluster, installation, conclude):
    """Nobody takes the partition over before its leader answers again, and every law holds."""
    changelog = installation.topics.changelog.name
    survivors = [installation.start() for _ in range(SURVIVORS)]
    takeovers = []
    silences = 0
    with SteadyLoad(installation, RATE, SEED) as load:
        wait_shared_out(installation.partitions, survivors, limit_s=LIMIT_S)
        for _ in range(ROUNDS):
            patient_cluster.wait_in_sync(topic.name for topic in installation.topics)
            victim = installation.start(
                CONSOLIDATOR_FAILPOINT=f"produced:kill:{PASSING}", CONSOLIDATOR_SESSION_TIMEOUT_S=VICTIM_SESSION_S
            )
            assert victim.wait_exit(limit_s=LIMIT_S) == -signal.SIGKILL, victim.tail()
            moment = time.monotonic()
            partition = open_elsewhere(installation, patient_cluster, victim)
            # With events of their own under way the survivors would wait for these, and ask nobody.
            with load.paused():
                wait_idle(installation, survivors)
                with patient_cluster.frozen(patient_cluster.leader(changelog, partition)):
                    silences += silent_for(survivors, partition)
            wait_alive(
                survivors, lambda: len(set().union(*(each.owned() for each in survivors))) == PARTITIONS, "new owners"
            )
            takeovers.append(load.wait_folded(moment, survivors[0], limit_s=LIMIT_S))
    conclude(
        installation,
        *survivors,
        scenario="silent leader",
        fault="killed (SIGKILL) with a transaction open, and the leader of a changelog that is in it frozen (SIGSTOP) "
        "while others take over",
        held="the laws; nobody takes the partition over before its leader answers",
        faults=ROUNDS,
        recovery_s=tuple(takeovers),
        seeds=(SEED,),
        more={"takeovers that met the silence": silences},
        limit_s=LIMIT_S,
    )


def wait_idle(installation, workers) -> None:
    """Wait until workers have consumed everything of their partitions."""
    ends = installation.ends(installation.topics.executions.name)

    def idle():
        committed = installation.committed()
        return all(committed[each] >= ends[each] for worker in workers for each in worker.owned())

    wait_alive(workers, idle, "the survivors to have nothing under way")


def silent_for(survivors: list[WorkerProcess], partition: int) -> bool:
    """Stay until the silence may end; whether a survivor has asked the silent leader. Nobody goes past it."""
    began = time.monotonic()
    acquired = [len(worker.entries(ACQUIRED)) for worker in survivors]
    asked = sum(len(worker.entries(UNANSWERED)) for worker in survivors)

    def taken_over() -> bool:
        return any(
            partition in entry["partitions"]
            for worker, before in zip(survivors, acquired, strict=True)
            for entry in worker.entries(ACQUIRED)[before:]
        )

    def has_asked() -> bool:
        return sum(len(worker.entries(UNANSWERED)) for worker in survivors) > asked

    wait_alive(
        survivors,
        lambda: taken_over() or has_asked() or time.monotonic() - began > LONGEST_SILENCE_S,
        "the silence to end",
    )
    assert not taken_over(), tails(survivors)
    return has_asked()
