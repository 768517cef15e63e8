"""A worker that publishes outside of its transactions, in small rounds too: the checker has to find that.

Run as a program it takes the arguments of ``consolidator``. State and source offset stay in a transaction, so that
after a death between the two the outputs are there and the state is not.
"""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import Producer

from consolidator.connecting.connection import Connection
from streams.cli.main import main
from streams.partition.batch import Outgoing
from streams.worker import assignment
from streams.worker.transactions.partition_transactions import PartitionTransactions
from streams.worker.transactions.small_rounds.round_transactions import RoundProducers

_TIMEOUT_S = 30.0


class WithoutTransaction(PartitionTransactions):
    """Publishes at once, outside of the transaction."""

    def __init__(self, connection: Connection, app_id: str, partition: int, **options: Any) -> None:
        super().__init__(connection, app_id, partition, **options)
        self._beside = Producer(connection.librdkafka())

    def produce(self, outgoing: Iterable[Outgoing]) -> None:
        for record in outgoing:
            self._beside.produce(record.topic, record.value, record.key, record.partition)
        assert self._beside.flush(_TIMEOUT_S) == 0


if __name__ == "__main__":
    assignment.PartitionTransactions = WithoutTransaction
    # As on a cluster that does not speak the newer protocol.
    RoundProducers.fence = lambda *_: {}
    main()
