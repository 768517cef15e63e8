"""The basis of a replay: the offsets of each partition, and the digest of the resulting changes."""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.replay.digest import ChangesDigest
from topics.reading.positions import offsets_text
from topics.reading.ranges import Range

__all__ = ["PartitionStanding"]


@dataclass(frozen=True, slots=True)
class PartitionStanding:
    """One partition of a replay.

    Attributes:
        partition: the partition.
        first: the first offset that the source still has; the fold begins there.
        start: the offset from which changes are shown.
        end: the offset before which the fold ends.
        records: how many records were folded.
        changes: how many changes are in the digest.
        digest: see :mod:`streams.replay.digest`.
    """

    partition: int
    first: int
    start: int
    end: int
    records: int
    changes: int
    digest: str

    @classmethod
    def of(cls, partition: int, span: Range, records: int, digest: ChangesDigest) -> "PartitionStanding":
        """Make the standing of a partition at the end of a replay."""
        return cls(partition, span.first, span.start, span.end, records, digest.changes, digest.hex())

    def members(self) -> Mapping[str, object]:
        """The members of its JSON form."""
        return {
            "partition": self.partition,
            "complete_from": self.first,
            "from": self.start,
            "to": self.end,
            "records": self.records,
            "changes": self.changes,
            "digest": self.digest,
        }

    def __str__(self) -> str:
        """One line of text for people."""
        shown = "" if self.start == self.first else f", shown from {self.start}"
        return (
            f"partition {self.partition}: {offsets_text(self.first, self.end)}{shown}, complete from {self.first}; "
            f"{self.records:,} records, {self.changes:,} changes, digest {self.digest}"
        )
