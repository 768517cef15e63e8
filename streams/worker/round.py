"""A round: batches of several partitions that are committed together."""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.partition.batch import Batch

__all__ = ["Membership", "Round"]


@dataclass(frozen=True, slots=True)
class Membership:
    """The member of the consumer group that has the partitions, and the group's generation.

    Attributes:
        group: the group's id.
        generation: the generation; below zero: the member is not in the group.
        member: the member's id, which the group's coordinator has given it.
        instance: the static member's id (KIP-345); None: the member is not static.
    """

    group: str
    generation: int
    member: str
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """Batches of different partitions that are processed together.

    They are committed in one transaction, or in several if their output is too large for one.

    Attributes:
        batches: one large batch, or a small one of each partition that has events; at least one.
        membership: the group member as which the worker read all batches. The broker refuses the offsets of an earlier
            generation (docs/decisions/0014).
    """

    batches: Sequence[Batch]
    membership: Membership
