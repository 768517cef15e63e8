"""How far each partition was read, and the places of the items that are yielded together."""

from collections.abc import Mapping
from typing import NamedTuple

from consolidator.subscribing.token import Stamp, write_token

__all__ = ["NO_FLOOR", "SNAPSHOT_DONE", "Frame", "Position"]

SNAPSHOT_DONE = -1
NO_FLOOR = -1


class Position(NamedTuple):
    """How far one partition was read.

    Attributes:
        journal: the offset of ``factor-changes`` before which everything was read.
        factors: the offset of ``factors`` before which everything was read; -1: no snapshot, or it is complete.
        floor: changes up to this version are in the snapshot: the offset in ``executions``; -1: there are none to drop.
        floor_key: and of this version itself, those of pairs up to this key of ``factors``.
    """

    journal: int
    factors: int = SNAPSHOT_DONE
    floor: int = NO_FLOOR
    floor_key: bytes = b""


class Frame:
    """The places of items that are yielded together. Tokens are made from it, when they are asked for.

    Args:
        stamp: what every token names.
        before: the position of each partition before the first of the items.
        fresh_ms: see :func:`~consolidator.subscribing.token.write_token`.
        of_factors: the items are records of ``factors``.
        each: a token covers the partition of its item alone: the subscription has a group.

    Attributes:
        partitions: of the items, in their order.
        offsets: of the items; None: an item that stands for no record.
    """

    __slots__ = ("_before", "_each", "_fresh_ms", "_of_factors", "_stamp", "offsets", "partitions")

    def __init__(
        self,
        stamp: Stamp,
        before: Mapping[int, Position],
        fresh_ms: int,
        *,
        of_factors: bool = False,
        each: bool = False,
    ) -> None:
        self._stamp = stamp
        self._before = dict(before)
        self._fresh_ms = fresh_ms
        self._of_factors = of_factors
        self._each = each
        self.partitions: list[int] = []
        self.offsets: list[int | None] = []

    def positions_after(self, index: int) -> dict[int, Position]:
        """The position of each partition after the item with that number."""
        found = dict(self._before)
        last = dict(zip(self.partitions[: index + 1], self.offsets[: index + 1], strict=True))
        for partition, offset in last.items():
            if offset is not None:
                at = found[partition]
                found[partition] = (
                    at._replace(factors=offset + 1) if self._of_factors else at._replace(journal=offset + 1)
                )
        return found

    def token_after(self, index: int) -> str:
        """The token after the item with that number."""
        positions = self.positions_after(index)
        if self._each and self.partitions:
            partition = self.partitions[index]
            positions = {partition: positions[partition]}
        return self.token_of(positions)

    def token_of(self, positions: Mapping[int, Position]) -> str:
        """The token for some of the partitions."""
        return write_token(self._stamp, positions, self._fresh_ms)
