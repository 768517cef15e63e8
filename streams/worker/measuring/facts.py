"""What the owner of the partitions knows of each of them, for those who judge it."""

from dataclasses import dataclass

from streams.health.report import State

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """One partition.

    Attributes:
        partition: its number.
        stage: ``fencing``; ``waiting``: it is not taken into work yet; ``running`` or ``adopting``: it is.
        since: when the stage began, or the committed offset last moved, by the owner's clock.
        position: the offset before which it is folded.
        committed: the offset before which it is committed.
        oldest_ms: the broker's time of the oldest record under way; None: none is.
        is_busy: whether a batch is under way.
        adoption: of an adoption that is under way, the offset before which it is folded again, and the one
            before which it has to be.
    """

    partition: int
    stage: State
    since: float
    position: int | None = None
    committed: int | None = None
    oldest_ms: int | None = None
    is_busy: bool = False
    adoption: tuple[int, int] | None = None
