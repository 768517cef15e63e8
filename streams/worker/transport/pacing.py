"""When the next batches begin, and how large they may be: they grow with the load by themselves."""

from collections.abc import Callable
from math import inf
from time import monotonic

from faust.types import TP

from streams.partition.batch import Batch
from streams.worker.round import Round

__all__ = ["FETCHED_BYTES", "Pacing", "fetch_bytes"]

_EVENTS_AT_ONCE = 16_000
"""Of all partitions of a worker together, in one batch of each; up to three of each are in memory, gathered, folded and
committed. The larger a batch, the fewer rows and ``factors`` records: a pair has one of each, however many of its
events are in it. See ``docs/decisions/0015``."""

_LEAST_EVENTS = 1_000
"""A partition's share of that, however many there are. With smaller batches what transactions cost begins to tell."""

_MIB = 1024 * 1024

_BYTES_AT_ONCE = 32 * _MIB
"""Of all partitions of a worker together, in one batch of each. The events above take a fifth of it in the design's
workload: it is there for larger ones."""

_MOST_BATCH_BYTES = 16 * _MIB
"""Of one batch, however few partitions there are."""

_LEAST_BYTES = _MIB
"""A partition's share of that, however many there are: one piece of a batch, or one record, is taken in any case."""

_BYTES_IN_ALL = 3 * _BYTES_AT_ONCE
"""Gathered, folded and committed, whatever the number of partitions: beyond it only a partition that has nothing under
way is read."""

FETCHED_BYTES = 32 * _MIB
"""In one answer of a broker, packed: 8 MiB of each of four partitions."""

_MOST_FETCHED_BYTES = 8 * _MIB
"""Of one partition: some 18,000 events. With aiokafka's default, 1 MiB, the throughput is half."""

_LEAST_FETCHED_BYTES = _MIB // 4
"""Of one partition, however many there are; a broker sends a larger batch whole when its turn comes."""

_LARGE = 0.25
"""Of the most events, or bytes, of a batch: from there folding takes longer than a commit, and the two overlap."""

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
        batch_bytes: most bytes of one partition in one batch, likewise, as they lie in memory.
    """

    def __init__(self, batch_events: int, clock: Callable[[], float] = monotonic) -> None:
        self.batch_events = batch_events
        self.batch_bytes = _MOST_BATCH_BYTES
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
        return not self._is_large(len(batch.records), batch.size)

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
        self.batch_bytes = min(_MOST_BATCH_BYTES, max(_BYTES_AT_ONCE // max(partitions, 1), _LEAST_BYTES))
        self._under_way = ()
        self._held = frozenset()
        self._began_s = -inf

    def room(self, tp: TP, gathered: int, everywhere: int) -> int:
        """How many bytes of a partition may be read now; none or less: nothing.

        Args:
            tp: the partition.
            gathered: the bytes of it that are in no batch yet.
            everywhere: those of all partitions.
        """
        under_way = self._under_way
        own = self.batch_bytes - gathered
        if not gathered and not any(batch.partition == tp.partition for batch in under_way):
            return own
        return min(own, _BYTES_IN_ALL - everywhere - sum(batch.size for batch in under_way))

    def pause_s(self, tp: TP, events: int, size: int = 0) -> float:
        """How long the next batch of a partition has to wait, in seconds; infinite: for a commit.

        Args:
            tp: the partition.
            events: how many it has by now.
            size: their bytes.
        """
        own = [batch for batch in self._under_way if batch.partition == tp.partition]
        if self._is_large(events, size):
            return inf if len(own) > 1 or any(map(self.is_small, own)) else 0.0
        if own or any(map(self.is_small, self._under_way)):
            return inf
        return max(0.0, self._began_s + _INTERVAL_S - self._clock())

    def _is_large(self, events: int, size: int) -> bool:
        return events >= _LARGE * self.batch_events or size >= _LARGE * self.batch_bytes


def fetch_bytes(partitions: int) -> int:
    """Most bytes of one partition in one fetch, packed.

    Args:
        partitions: how many are read.
    """
    return min(_MOST_FETCHED_BYTES, max(FETCHED_BYTES // max(partitions, 1), _LEAST_FETCHED_BYTES))
