"""Burrow's rules for one partition: idle is healthy, progress is healthy, and a standstill needs a reason.

Burrow (``core/internal/evaluator/caching.go``) judges by a window of commits and needs no threshold of lag. A process
knows more of itself than Burrow: what it waits for. So its verdict "stop" is divided here: ``stalled`` has a reason,
and a restart would not help; ``stuck`` has none.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

from streams.health.report import State

__all__ = ["STILL_S", "Movement", "Standing", "standing_of"]

STILL_S: Final = 10.0
"""How long a partition with something to do may stand still before it is called so. A round takes milliseconds, a slow
one a second or two."""

_NO_REASON: Final = "nothing that is known: records are there, Kafka answers, and none is taken"


class Standing(NamedTuple):
    """A partition's state, and what it waits for in words."""

    state: State
    waits_for: str | None = None


def standing_of(lag: int | None, still_s: float, reason: str | None) -> Standing:
    """The standing of a partition that may run.

    Args:
        lag: offsets that are not done; None: not known.
        still_s: for how long it has stood still with something to do.
        reason: why it may stand still; None: there is no reason.
    """
    if lag == 0:
        return Standing(State.IDLE)
    if still_s < STILL_S:
        return Standing(State.RUNNING)
    if reason is not None:
        return Standing(State.STALLED, reason)
    # Nobody knows whether there is anything to do; who looks for the end has said nothing for as long.
    return Standing(State.RUNNING) if lag is None else Standing(State.STUCK, _NO_REASON)


class Movement:
    """Knows since when each partition has had something to do, so that an idle hour is no standstill."""

    def __init__(self) -> None:
        self._behind_since: dict[int, float] = {}

    def behind_since(self, partition: int, lag: int | None, now: float) -> float | None:
        """Since when a partition has had something to do; None: it has nothing to do.

        Args:
            partition: the partition.
            lag: what it has to do now; None: not known, which changes nothing.
            now: the present time.
        """
        if lag == 0:
            self._behind_since.pop(partition, None)
        elif lag is not None:
            self._behind_since.setdefault(partition, now)
        return self._behind_since.get(partition)

    def keep(self, partitions: Collection[int]) -> None:
        """Forget all other partitions."""
        for partition in [one for one in self._behind_since if one not in partitions]:
            del self._behind_since[partition]
