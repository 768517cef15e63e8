"""The transactions of small rounds, on a real broker: what is in them takes effect together or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from streams.partition.batch import Batch, Outgoing
from streams.worker.round import Membership
from streams.worker.transactions.partition_transactions import PartitionTransactions
from streams.worker.transactions.small_rounds import client as module
from streams.worker.transactions.small_rounds.round_transactions import RoundProducers
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

LIMIT_S = 30.0
ROUNDS = 20


@pytest.fixture
def producers(installation):
    """Of a worker that has all partitions; closed in the end."""
    made = []

    def make():
        connection = Connection(installation.variables["KAFKA_BOOTSTRAP_SERVERS"])
        made.append(RoundProducers(connection, installation.name, patience_s=LIMIT_S))
        return made[-1]

    yield make
    for each in made:
        each.close()


def batch(installation, partition, end):
    return Batch(installation.topics.executions.name, partition, 0, end, [])


def commit(installation, transactions, batches, *, rows=1, headers=None, generation=-1, member=""):
    """A round that writes a change and some rows for each of its batches; the changelog offsets.

    It is nobody's, whose offsets the coordinator takes while the group has no members.
    """
    transactions.begin()
    for each in batches:
        key = f"{each.partition}/{each.end}".encode()
        change = Outgoing(installation.topics.factor_changes.name, each.partition, key, b"change", headers)
        transactions.produce([change])
        state = [(b"row %d of %d" % (row, each.end), b"state" if row else None) for row in range(rows)]
        transactions.produce_rows(installation.topics.changelog.name, each.partition, state)
    return transactions.commit(batches, Membership(installation.name, generation, member))


def rows_of(installation, partition):
    """The committed records of a partition of the changelog."""
    return [row for row in installation.read(installation.topics.changelog.name) if row.partition == partition]


def committed(installation):
    """The group's offsets, once no transaction has any that are not settled."""
    wait_until(
        lambda: not installation.unstable_offsets(), "the offsets of every transaction are settled", limit_s=LIMIT_S
    )
    return installation.committed()


def is_open(installation):
    """Whether a transaction is open in partition 0 of the changelog."""
    topic = installation.topics.changelog.name
    return installation.stable_ends(topic)[0] < installation.ends(topic)[0]


def test_a_round_of_several_partitions_takes_effect_together(installation, producers):
    """Records with their headers, rows, offsets; and each partition's last row is where it is said to be."""
    small = producers().fence({0, 1})
    topics = installation.topics
    headers = [("ce_id", b"1"), ("nothing", None)]
    offsets = commit(
        installation, small[0], [batch(installation, 0, 7), batch(installation, 1, 9)], rows=3, headers=headers
    )
    assert offsets == {0: 2, 1: 2}
    assert committed(installation) == {0: 7, 1: 9, 2: 0, 3: 0}
    changes = installation.read(topics.factor_changes.name)
    assert sorted((change.partition, change.key, change.value) for change in changes) == [
        (0, b"0/7", b"change"),
        (1, b"1/9", b"change"),
    ]
    assert [list(change.headers) for change in changes] == [headers, headers]
    for partition in (0, 1):
        rows = rows_of(installation, partition)
        assert [row.value for row in rows] == [None, b"state", b"state"]
        assert rows[-1].offset == offsets[partition]


def test_rounds_follow_each_other_without_a_hole_under_both_ids(installation, producers):
    """The ids take turns, each transaction has an epoch of its own, and the rows stand in the order of the rounds."""
    small = producers().fence({0})[0]
    ends = [commit(installation, small, [batch(installation, 0, number)])[0] for number in range(ROUNDS)]
    assert ends == sorted(set(ends))
    rows = rows_of(installation, 0)
    assert [row.offset for row in rows] == ends
    assert committed(installation)[0] == ROUNDS - 1
    assert sorted(producer.transactional_id for producer in small._ids) == [
        f"{installation.name}-0-a",
        f"{installation.name}-0-b",
    ]


def test_a_partition_goes_from_small_transactions_to_large_ones_and_back(installation, producers):
    """Both kinds write the same partitions, one after the other."""
    small = producers().fence({0})[0]
    connection = Connection(installation.variables["KAFKA_BOOTSTRAP_SERVERS"])
    large = PartitionTransactions(connection, installation.name, 0, patience_s=LIMIT_S)
    large.fence()
    offsets = [
        commit(installation, transactions, [batch(installation, 0, end)], rows=2)[0]
        for end, transactions in enumerate([small, large, small, small, large], 1)
    ]
    large.close()
    rows = rows_of(installation, 0)
    assert [row.offset for row in rows][1::2] == offsets
    assert committed(installation)[0] == 5


def test_whoever_fences_shuts_the_earlier_owner_out_and_aborts_what_it_left_open(installation, producers):
    """Its records are never read, its next transactions are refused under both ids, by name."""
    earlier = producers().fence({0})[0]
    earlier.begin()
    earlier.produce_rows(installation.topics.changelog.name, 0, [(b"row", b"of the earlier owner")])
    producer = earlier._ids[0]
    earlier._producers.run(0, str, lambda: earlier._deliver(producer, {}))
    assert is_open(installation)
    later = producers().fence({0})[0]
    assert not is_open(installation)
    for _ in range(2):
        with pytest.raises(InfrastructureError, match="partition 0: fenced in produce: another worker owns"):
            commit(installation, earlier, [batch(installation, 0, 5)])
    commit(installation, later, [batch(installation, 0, 6)])
    [row] = rows_of(installation, 0)
    assert row.key == b"row 0 of 6"
    assert committed(installation)[0] == 6


def test_offsets_of_a_generation_that_the_group_has_left_are_refused(installation, producers):
    """Nothing of such a round takes effect."""
    small = producers().fence({0})[0]
    with pytest.raises(InfrastructureError, match="partition 0: fenced in send_offsets_to_transaction"):
        commit(installation, small, [batch(installation, 0, 5)], generation=3, member="somebody")
    producers().fence({0})
    assert rows_of(installation, 0) == []
    assert committed(installation)[0] == 0


def test_an_answer_that_is_lost_is_asked_for_again(installation, producers, monkeypatch):
    """Every request is sent twice, as after a connection that broke: nothing is written twice."""
    small = producers().fence({0})[0]
    sent = []

    def twice(ask):
        async def asked(client, *what):
            sent.append(what[-1])
            await ask(client, *what)
            return await ask(client, *what)

        return asked

    for name in ("ask_leader", "ask_coordinator"):
        monkeypatch.setattr(module.TransactionClient, name, twice(getattr(module.TransactionClient, name)))
    offsets = [commit(installation, small, [batch(installation, 0, end)], rows=2)[0] for end in (1, 2, 3)]
    assert len(sent) >= 9
    rows = rows_of(installation, 0)
    assert [row.key for row in rows] == [b"row %d of %d" % (row, end) for end in (1, 2, 3) for row in (0, 1)]
    assert [row.offset for row in rows][1::2] == offsets


def test_rounds_of_several_threads_wait_for_each_other(installation, producers):
    """The client has one event loop; whoever comes second waits."""
    small = producers().fence({0, 1})
    with ThreadPoolExecutor(2) as pool:
        ends = list(
            pool.map(
                lambda partition: [
                    commit(installation, small[partition], [batch(installation, partition, end)])[partition]
                    for end in range(1, 6)
                ],
                (0, 1),
            )
        )
    for partition in (0, 1):
        rows = rows_of(installation, partition)
        assert [row.offset for row in rows] == ends[partition]
    assert committed(installation) == {0: 5, 1: 5, 2: 0, 3: 0}
