"""A round: batches of several partitions that are committed together."""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.partition.batch import Batch

__all__ = ["Round"]


@dataclass(frozen=True, slots=True)
class Round:
    """The batches that begin together, of a partition each, and are committed in one transaction.

    Attributes:
        batches: one large batch, or small ones of as many partitions as have any; at least one.
    """

    batches: Sequence[Batch]
