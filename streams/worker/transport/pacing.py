"""When the next batches begin, and how large they may be: they grow with the load by themselves."""

from collections.abc import Callable
from math import inf
from time import monotonic

from faust.types import TP

from streams.partition.batch import Batch
from streams.worker.round import Round

__all__ = ["Pacing"]

_EVENTS_AT_ONCE = 16_000
"""Of all partitions of a worker together, in one batch of each; up to three of each are in memory, gathered, folded and
committed. The larger a batch, the fewer rows and ``factors`` records: a pair has one of each, however many of its
events are in it. See ``docs/decisions/0015``."""

_LEAST_EVENTS = 1_000
"""A partition's share of that, however many there are. With smaller batches what transactions cost begins to tell."""

_LARGE = 0.25
"""Of the most events of a batch: from there folding takes longer than a commit, and the two overlap."""

_INTERVAL_S = 0.003
"""Between the beginnings of two rounds of small batches, at least. A transaction costs the broker and the worker
something, whatever is in it: a quick broker would get more of them than anybody would notice."""


class Pacing:
    """Which batches are under way, and when others may begin.

    A partition's *large* batch begins at once, in a round of its own, and lets one more of the partition be folded
    while it commits. *Small* batches begin together, in one round: not before the last such round is committed, nor
    within some milliseconds of its beginning. What comes meanwhile makes the next round larger. Cut into rounds at once
    it would wait as long, and cost a transaction for each.

    Written by the event loop, read by the consumer's thread: what is under way is a tuple, which is replaced, so that
    the thread never sees half a change.

    Args:
        batch_events: most events of one partition in one batch, however few partitions there are.
        clock: the time in seconds.

    Attributes:
        batch_events: most events of one partition in one batch, with the partitions that there are.
    """

    def __init__(self, batch_events: int, clock: Callable[[], float] = monotonic) -> None:
        self.batch_events = batch_events
        self._most = batch_events
        self._clock = clock
        self._under_way: tuple[Batch, ...] = ()
        self._held: frozenset[int] = frozenset()
        self._began_s = -inf

    def hold(self, partition: int, *, is_held: bool) -> None:
        """Let no batch of a partition begin, or let them again: it has something else to do before."""
        self._held = self._held | {partition} if is_held else self._held - {partition}

    def is_held(self, partition: int) -> bool:
        """Whether no batch of a partition may begin, however long it takes."""
        return partition in self._held

    def is_small(self, batch: Batch) -> bool:
        """Whether a batch begins together with others."""
        return not self._is_large(len(batch.records))

    def began(self, together: Round) -> None:
        """A round was handed on."""
        if self.is_small(together.batches[0]):
            self._began_s = self._clock()
        self._under_way = (*self._under_way, *together.batches)

    def ended(self, together: Round) -> None:
        """A round is committed; one of before an assignment is none of those under way."""
        self._under_way = tuple(
            batch for batch in self._under_way if not any(batch is each for each in together.batches)
        )

    def assigned(self, partitions: int) -> None:
        """The partitions were assigned anew: what was under way is done, or will be read again.

        Args:
            partitions: how many of the source there are now.
        """
        self.batch_events = min(self._most, max(_EVENTS_AT_ONCE // max(partitions, 1), _LEAST_EVENTS))
        self._under_way = ()
        self._held = frozenset()
        self._began_s = -inf

    def pause_s(self, tp: TP, events: int) -> float:
        """How long the next batch of a partition has to wait, in seconds; infinite: for a commit.

        Args:
            tp: the partition.
            events: how many it has by now.
        """
        own = [batch for batch in self._under_way if batch.partition == tp.partition]
        if self._is_large(events):
            return inf if len(own) > 1 or any(map(self.is_small, own)) else 0.0
        if own or any(map(self.is_small, self._under_way)):
            return inf
        return max(0.0, self._began_s + _INTERVAL_S - self._clock())

    def _is_large(self, events: int) -> bool:
        return events >= _LARGE * self.batch_events
