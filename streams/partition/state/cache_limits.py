"""The number of decoded pairs that each kind of process keeps in memory. ``docs/limits.md`` adds them up."""

from dataclasses import dataclass
from typing import Final

__all__ = ["REFOLD_CACHE", "REPLAY_CACHE", "WORKER_CACHE", "CacheLimits"]


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Limits of a :class:`~streams.partition.state.pair_cache.PairCache`.

    Attributes:
        pairs: the greatest number of pairs; a small one takes about 3 KB.
        weight: the greatest total weight of their rows, see :attr:`models.rows.Row.weight`. In memory they take at most
            eight times as much, in rows with many small factors.
    """

    pairs: int
    weight: int

    def shared_among(self, partitions: int) -> "CacheLimits":
        """The share of one partition, if several share the limits."""
        return CacheLimits(self.pairs // max(partitions, 1), self.weight // max(partitions, 1))


WORKER_CACHE: Final = CacheLimits(40_000, 24 * 1024 * 1024)
"""The limits of one worker, for all its partitions: some 120 MB. So many small pairs have about this weight."""

REPLAY_CACHE: Final = CacheLimits(40_000, 32 * 1024 * 1024)
"""The limits of a replay, which folds one partition at a time: some 150 MB at most."""

REFOLD_CACHE: Final = CacheLimits(20_000, 16 * 1024 * 1024)
"""The limits of a refold process: about half of the worker's."""
