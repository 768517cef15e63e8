"""What a crash leaves behind, forced: open transactions, queues at the end of a recovery, a fenced worker."""

import shutil

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from models.rows import PartitionMark
from streams.partition.batch import Batch, Outgoing
from streams.partition.state.row_codec import MARK_KEY, encode_row
from streams.worker.round import Membership
from streams.worker.transactions.group_metadata import group_metadata
from streams.worker.transactions.partition_transactions import PartitionTransactions
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import believable
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EXIT_INFRASTRUCTURE = 3
SMALL_BATCHES = {"CONSOLIDATOR_BATCH_EVENTS": "100"}
FIRST_GENERATION = 1
READY_LIMIT_S = 20.0
"""Far below the 60 s after which the broker would abort a dead owner's transaction by itself."""


IDS = ("0", "0-a", "0-b")
"""Partition 0's transactional ids, after the installation's name: of large batches, and of small rounds."""


class DeadOwner:
    """A worker's producer of partition 0, whose worker is no more."""

    def __init__(self, installation, identity=IDS[0]):
        self._installation = installation
        identity = f"{installation.name}-{identity}"
        self._producer = Producer(
            installation.config | {"transactional.id": identity, "transaction.timeout.ms": 60_000}
        )
        self._producer.init_transactions(LIMIT_S)

    def leave_open(self):
        """Everything that a batch's transaction holds, flushed but not committed."""
        topics = self._installation.topics
        mark = PartitionMark(0, 1_000_000, "somebody else's")
        self._producer.begin_transaction()
        self._producer.produce(topics.factor_changes.name, b'"never committed"', b"ghost/1", 0)
        self._producer.produce(topics.changelog.name, encode_row(mark), MARK_KEY, 0)
        self._producer.flush(LIMIT_S)
        self._producer.send_offsets_to_transaction(
            [TopicPartition(topics.executions.name, 0, 1_000_000)],
            group_metadata(Membership(self._installation.name, -1, "")),
            LIMIT_S,
        )

    def commit(self):
        self._producer.commit_transaction(LIMIT_S)


def settle(installation, seed):
    installation.publish(believable(seed, 30))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


@pytest.mark.parametrize("identity", IDS)
def test_a_dead_owner_is_fenced_before_the_recovery(installation, identity):
    """An open transaction of a dead owner delays nobody, takes no effect, and cannot be committed any more."""
    settle(installation, 61)
    ghost = DeadOwner(installation, identity)
    ghost.leave_open()
    shutil.rmtree(installation.state_dir)
    installation.publish(believable(62, 30))
    worker = installation.start().wait_ready(installation.partitions, limit_s=READY_LIMIT_S)
    with pytest.raises(KafkaException, match="FENCED"):
        ghost.commit()
    installation.wait_consumed(worker)
    worker.stop()
    assert b'"never committed"' in installation.read_uncommitted(installation.topics.factor_changes.name)
    installation.check_laws(state=installation.state_dir)


def test_nothing_is_lost_at_the_end_of_a_recovery(installation):
    """Of a backlog of many small batches not one vanishes while a recovery ends, be it the second try of one."""
    installation.publish_messages(design_workload(4_000, 300, 63))
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.kill()
    installation.publish_messages(design_workload(4_000, 300, 64))
    shutil.rmtree(installation.state_dir)
    interrupted = installation.start(**SMALL_BATCHES)
    interrupted.wait(lambda: interrupted.entries("partitions acquired"), "the recovery to begin", limit_s=LIMIT_S)
    interrupted.kill()
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    installation.check_laws(state=installation.state_dir)


def test_faust_never_commits_source_offsets(installation):
    """A worker that was fenced ends with exit code 3 and moves the group by nothing: only a transaction may."""
    settle(installation, 65)
    before = installation.committed()
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    # Whoever initialises these transactional ids shuts the worker out of partition 0.
    for identity in IDS:
        DeadOwner(installation, identity)
    installation.publish_messages(design_workload(2_000, 300, 66))
    assert worker.wait_exit() == EXIT_INFRASTRUCTURE, worker.tail()
    assert "fenced" in worker.log
    assert installation.committed()[0] == before[0]
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    installation.check_laws(state=installation.state_dir)


def test_offsets_of_a_stale_member_are_refused(installation):
    """What the group has gone on without commits nothing, though nobody has taken its transactional id over."""
    installation.publish(believable(69, 30))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    before = installation.committed()
    group = installation.described_group()
    [member] = group.members
    connection = Connection(installation.config["bootstrap.servers"])
    for number, stale in enumerate(
        (
            Membership(installation.name, FIRST_GENERATION - 1, member.member_id),
            Membership(installation.name, FIRST_GENERATION, "evicted"),
        )
    ):
        transactions = PartitionTransactions(connection, f"{installation.name}-stale-{number}", 0, patience_s=LIMIT_S)
        transactions.fence()
        transactions.begin()
        with pytest.raises(InfrastructureError, match="fenced in send_offsets_to_transaction"):
            transactions.commit([Batch(installation.topics.executions.name, 0, 0, 1, [])], stale)
    assert installation.committed() == before
    worker.stop()


def test_a_producer_that_was_fenced_says_so_in_every_later_call(installation):
    """Of a fatal error the client's later calls tell no more than that it was one; the message names the fence."""
    transactions = PartitionTransactions(
        Connection(installation.config["bootstrap.servers"]), installation.name, 0, patience_s=LIMIT_S
    )
    transactions.fence()
    DeadOwner(installation)
    record = Outgoing(installation.topics.factor_changes.name, 0, b"ghost/1", b'"never committed"')

    def refused():
        try:
            transactions.begin()
            transactions.produce([record])
            transactions.commit(
                [Batch(installation.topics.executions.name, 0, 0, 1, [])], Membership(installation.name, -1, "")
            )
        except InfrastructureError as error:
            return error
        return None

    assert "fenced in" in str(wait_until(refused, "the fence to be noticed", limit_s=LIMIT_S))
    with pytest.raises(InfrastructureError, match="fenced in produce"):
        transactions.produce([record])
    with pytest.raises(InfrastructureError, match="fenced in begin_transaction"):
        transactions.begin()
    with pytest.raises(InfrastructureError, match="fenced in close"):
        transactions.close()


def test_64_partitions_are_opened_and_taken_over_on_the_same_disk(kafka, tmp_path):
    """A killed worker's 64 databases are opened by the next one, whose caches stay small."""
    with installed(kafka, tmp_path, CONSOLIDATOR_PARTITIONS="64", CONSOLIDATOR_SESSION_TIMEOUT_S="2") as installation:
        installation.publish_messages(design_workload(4_000, 400, 67))
        killed = installation.start().wait_ready(64)
        installation.wait_consumed(killed)
        killed.kill()
        installation.publish_messages(design_workload(2_000, 400, 68))
        worker = installation.start().wait_ready(64)
        installation.wait_consumed(worker)
        assert worker.peak_memory_mib() < 1_024
        worker.stop()
        assert killed.state() == worker.state()
        installation.check_laws(state=worker.state())
