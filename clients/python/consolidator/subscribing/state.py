"""How far a subscription is, and whether it may go on from where it was."""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consolidator.subscribing.cluster import Cluster, Described
from consolidator.subscribing.positions import NO_FLOOR, SNAPSHOT_DONE, Frame, Position
from consolidator.subscribing.token import Stamp

if TYPE_CHECKING:
    from consolidator.subscribing.decoding import Floor

__all__ = ["State", "now_ms", "what_happened"]


def now_ms() -> int:
    """The time, in milliseconds since the epoch."""
    return int(time.time() * 1000)


class State:
    """The positions of the partitions that are read.

    Args:
        stamp: what tokens name.
        each: see :class:`~consolidator.subscribing.positions.Frame`.

    Attributes:
        positions: by partition.
        fresh_ms: by partition, the time of which it is known that no earlier tombstone is missing; see
            ``docs/decisions/0029-subscribing.md``.
        floors: by partition, up to where changes are in the snapshot.
    """

    def __init__(self, stamp: Stamp, *, each: bool) -> None:
        self.stamp = stamp
        self._each = each
        self.positions: dict[int, Position] = {}
        self.fresh_ms: dict[int, int] = {}
        self.floors: dict[int, Floor] = {}

    def put(self, positions: Mapping[int, Position], fresh_ms: int) -> None:
        """Take partitions up, or set them elsewhere."""
        for partition, position in positions.items():
            self.positions[partition] = position
            self.fresh_ms[partition] = fresh_ms
            self.floors.pop(partition, None)
            if position.floor != NO_FLOOR:
                self.floors[partition] = (position.floor, position.floor_key)

    def drop(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        for partition in partitions:
            for held in (self.positions, self.fresh_ms, self.floors):
                held.pop(partition, None)

    def frame(self, *, of_factors: bool = False, partitions: Collection[int] = ()) -> Frame:
        """A frame for the next items.

        Args:
            of_factors: they are records of ``factors``.
            partitions: for a control item: those that it is about.
        """
        fresh_ms = min(self.fresh_ms.values(), default=now_ms())
        frame = Frame(self.stamp, self.positions, fresh_ms, of_factors=of_factors, each=self._each)
        for partition in partitions:
            frame.partitions.append(partition)
            frame.offsets.append(None)
        return frame

    def read_journal(self, reached: Mapping[int, int]) -> None:
        """Move partitions that have no snapshot, or whose snapshot is complete.

        Args:
            reached: by partition, the offset of ``factor-changes`` before which everything was read.
        """
        for partition, offset in reached.items():
            floor, key = self.floors.get(partition, (NO_FLOOR, b""))
            self.positions[partition] = Position(offset, SNAPSHOT_DONE, floor, key)

    def read_factors(self, reached: Mapping[int, int]) -> None:
        """Move partitions whose snapshot is read; see :meth:`read_journal`."""
        for partition, offset in reached.items():
            floor, key = self.floors.get(partition, (NO_FLOOR, b""))
            self.positions[partition] = Position(self.positions[partition].journal, offset, floor, key)


def what_happened(
    cluster: Cluster, described: Described, positions: Mapping[int, Position], *, fresh_ms: int, now_ms: int
) -> str | None:
    """Why positions are no longer good to go on from; None: they are.

    Args:
        cluster: answers questions.
        described: the topics as they are now.
        positions: the positions.
        fresh_ms: of the token that they are from; see :class:`~consolidator.subscribing.token.Token`.
        now_ms: the time, in milliseconds since the epoch.

    Raises:
        InfrastructureError: Kafka does not answer.
    """
    away_ms = now_ms - fresh_ms
    if away_ms >= described.retention_ms:
        since = datetime.fromtimestamp(fresh_ms / 1000, UTC)
        return (
            f"everything was read last at {since:%Y-%m-%dT%H:%M:%SZ}, longer ago than tombstones stay "
            f"(delete.retention.ms is {described.retention_ms}): erasures may be missing"
        )
    journal = {partition: position.journal for partition, position in positions.items()}
    factors = {
        partition: position.factors for partition, position in positions.items() if position.factors != SNAPSHOT_DONE
    }
    for topic, wanted in ((cluster.changes, journal), (cluster.factors, factors)):
        for partition, (first, end) in cluster.edges(topic, wanted).items():
            if wanted[partition] > end:
                return (
                    f"{topic} partition {partition} ends at {end}, before the position {wanted[partition]}: the log "
                    "was cut back, or is another one"
                )
            if 0 < wanted[partition] < first or (topic == cluster.changes and wanted[partition] < first):
                return (
                    f"{topic} partition {partition} begins at {first}, after the position {wanted[partition]}: records "
                    "were deleted before they were read"
                )
    return None
