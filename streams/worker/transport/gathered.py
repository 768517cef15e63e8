"""Records of a source partition that were read, and are in no batch yet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Final

__all__ = ["Gathered"]

_QUIET_S: Final = 1.0
"""How long nothing readable has to come after markers or aborted records before their offsets are committed alone.
Under load they are committed with the next records. Without load they have to be committed alone, or monitoring would
show a lag that never becomes zero."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Records of a partition, with none missing between them.

    Attributes:
        generation: the group's generation in which they were read.
        start: the first offset.
        end: one past the last offset.
        records: the readable ones; the other offsets are transaction markers, aborted, or removed by compaction.
        since: when the first record was read, in monotonic seconds.
        size: the bytes that the records take in memory.
    """

    generation: int
    start: int
    end: int
    records: Sequence[Any]
    since: float
    size: int

    def followed_by(self, later: "Gathered") -> "Gathered":
        """Both joined; or only the later one, if this is empty, or if a seek or a rebalance came between them."""
        if self.end == self.start or later.generation != self.generation or later.start != self.end:
            return later
        return replace(
            later,
            start=self.start,
            records=[*self.records, *later.records],
            since=self.since,
            size=self.size + later.size,
        )

    @property
    def is_due(self) -> bool:
        """Whether there is anything that needs a transaction."""
        return bool(self.records) or (self.end > self.start and monotonic() - self.since >= _QUIET_S)
