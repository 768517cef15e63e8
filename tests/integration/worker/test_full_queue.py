"""A producer's queue that is smaller than a transaction: everything is delivered, in its order."""

import pytest

from consolidator.connecting.connection import Connection
from streams.partition.batch import Batch, Outgoing
from streams.worker.round import Membership
from streams.worker.transactions import producer_settings
from streams.worker.transactions.partition_transactions import PartitionTransactions

pytestmark = pytest.mark.kafka

LIMIT_S = 60.0
QUEUE_KIB = 256
RECORDS = 64


def test_a_transaction_may_be_larger_than_the_queue(installation, monkeypatch):
    """Producing never fails and never blocks; what waits is added where the commit is, before the offsets are sent."""
    monkeypatch.setattr(producer_settings, "_QUEUE_KIB", QUEUE_KIB)
    connection = Connection(installation.variables["KAFKA_BOOTSTRAP_SERVERS"])
    transactions = PartitionTransactions(connection, installation.name, 0, patience_s=LIMIT_S)
    transactions.fence()
    changes, changelog = installation.topics.factor_changes.name, installation.topics.changelog.name
    nobody = Membership(installation.name, -1, "")
    for number in range(2):
        keys = [b"%d-%d" % (number, each) for each in range(RECORDS)]
        transactions.begin()
        transactions.produce([Outgoing(changes, 0, key, bytes(100_000), [("h", key)]) for key in keys])
        transactions.produce_rows(changelog, 0, [(key, bytes(100_000)) for key in keys])
        source = installation.topics.executions.name
        offsets = transactions.commit([Batch(source, 0, number, number + 1, [])], nobody)
        rows = [record for record in installation.read(changelog) if record.partition == 0]
        assert offsets == {0: rows[-1].offset}
        assert [row.key for row in rows[-RECORDS:]] == keys
        read = installation.read(changes)
        assert [(record.key, record.headers) for record in read[-RECORDS:]] == [(key, (("h", key),)) for key in keys]
        assert installation.committed()[0] == number + 1
    transactions.close()
