"""The interface of transactions that a round uses; two clients implement it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from streams.partition.batch import Batch, Outgoing
from streams.partition.result import StoredRow
from streams.worker.round import Membership

__all__ = ["Transactions"]


class Transactions(Protocol):
    """Transactions of one producer, one after the other."""

    def begin(self) -> None:
        """Begin a transaction."""

    def produce(self, outgoing: Iterable[Outgoing]) -> None:
        """Add records."""

    def produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
        """Add the changed rows of a partition."""

    def commit(self, batches: Sequence[Batch], membership: Membership) -> Mapping[int, int]:
        """Commit the records and the batches' source offsets, as the group member that read them. Blocks.

        Returns:
            The changelog offset of each partition's last row.
        """
