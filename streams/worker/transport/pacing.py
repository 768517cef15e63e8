"""When a partition's next batch begins: batches that grow with the load by themselves."""

from collections.abc import Callable
from math import inf
from time import monotonic

from faust.types import TP

__all__ = ["Pacing"]

_LARGE = 0.25
"""Of the most events of a batch: from there folding takes longer than a commit, and the two overlap."""

_INTERVAL_RATIO = 2.0
"""Of the interval between the beginnings of two small batches of a partition to the time that such batches take, up to
their commit. A transaction takes milliseconds of the broker's time and of ours, whatever is in it: begun as soon as
possible, those of a few partitions keep two cores busy, and each waits for the others (1,000 events/s on four
partitions: a median of 73 ms, with 20 ms between them of 27). A quick broker gets more of them, a busy one fewer."""

_LEAST_INTERVAL_S, _GREATEST_INTERVAL_S = 0.01, 0.05

_SMOOTHING = 1 / 16
"""The weight of one batch in what batches take: half of it is forgotten after eleven more."""


class Pacing:
    """Which partitions have batches under way, and when they may begin another.

    A batch is not begun before the last one of its partition is committed, nor within some milliseconds of its
    beginning, see :data:`_INTERVAL_RATIO`: what comes meanwhile makes the next one larger. Cut into batches at once it
    would wait as long, and cost a transaction for each. A *large* batch begins at once, and lets one more be folded
    while it commits.

    Written by the event loop, read by the consumer's thread: a partition's batches are a tuple, which is replaced, so
    that the thread never sees half a change.

    Args:
        batch_events: most events of one partition in one batch.
        clock: the time in seconds.
    """

    def __init__(self, batch_events: int, clock: Callable[[], float] = monotonic) -> None:
        self._large = batch_events * _LARGE
        self._clock = clock
        self._under_way: dict[TP, tuple[tuple[int, int], ...]] = {}
        self._began_s: dict[TP, float] = {}
        self._interval_s = _LEAST_INTERVAL_S

    def began(self, tp: TP, offset: int, events: int) -> None:
        """A batch that ends with this offset was handed on."""
        self._under_way[tp] = (*self._under_way.get(tp, ()), (offset, events))
        self._began_s[tp] = self._clock()

    def ended(self, tp: TP, offset: int) -> None:
        """That batch is committed."""
        under_way = self._under_way.get(tp, ())
        if len(under_way) == 1 and under_way[0][0] == offset and under_way[0][1] < self._large:
            wanted = _INTERVAL_RATIO * (self._clock() - self._began_s[tp])
            smoothed = self._interval_s + _SMOOTHING * (wanted - self._interval_s)
            self._interval_s = min(max(smoothed, _LEAST_INTERVAL_S), _GREATEST_INTERVAL_S)
        self._under_way[tp] = tuple(batch for batch in under_way if batch[0] != offset)

    def forget(self) -> None:
        """The partitions were assigned anew: what was under way is done, or will be read again."""
        self._under_way = {}
        self._began_s = {}

    def pause_s(self, tp: TP, events: int) -> float:
        """How long the next batch of a partition has to wait, in seconds; infinite: for a commit.

        Args:
            tp: the partition.
            events: how many it has by now.
        """
        under_way = self._under_way.get(tp, ())
        if len(under_way) > 1 or any(before < self._large for _, before in under_way):
            return inf
        if events >= self._large:
            return 0.0
        return max(0.0, self._began_s.get(tp, -inf) + self._interval_s - self._clock())
