"""A round: batches of several partitions that are committed together."""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.partition.batch import Batch

__all__ = ["Round"]


@dataclass(frozen=True, slots=True)
class Round:
    """Batches of different partitions that begin together.

    They are committed in one transaction, or in several if their output is too large for one.

    Attributes:
        batches: one large batch, or a small one of each partition that has events; at least one.
    """

    batches: Sequence[Batch]
