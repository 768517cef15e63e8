"""Decides when the next batches begin and how large they may be. Batches grow with the load."""

from collections.abc import Callable
from math import inf
from time import monotonic

from faust.types import TP

from streams.partition.batch import Batch
from streams.worker.round import Round

__all__ = ["FETCHED_BYTES", "Pacing", "fetch_bytes"]

_EVENTS_AT_ONCE = 16_000
"""Most events of all of a worker's partitions together, with one batch of each partition. Up to three batches of a
partition are in memory: one is gathered, one folded, one committed. Larger batches give fewer rows and ``factors``
records, because a pair has one of each in a batch. See ``docs/decisions/0015``."""

_LEAST_EVENTS = 1_000
"""Least events of one partition's share of that, however many partitions there are. In smaller batches the cost of the
transactions becomes noticeable."""

_MIB = 1024 * 1024

_BYTES_AT_ONCE = 32 * _MIB
"""Most bytes of all of a worker's partitions together, with one batch of each. The events of the design's workload take
a fifth of it; the limit is there for larger events."""

_MOST_BATCH_BYTES = 16 * _MIB
"""Most bytes of one batch, however few partitions there are."""

_LEAST_BYTES = _MIB
"""Least bytes of a partition's share, however many partitions there are: one piece of a batch, or one record, is taken
in any case."""

_BYTES_IN_ALL = 3 * _BYTES_AT_ONCE
"""Most bytes that are gathered, folded and committed, whatever the number of partitions. Beyond it, only a partition
with nothing under way is read."""

FETCHED_BYTES = 32 * _MIB
"""Most compressed bytes in one answer of a broker: 8 MiB for each of four partitions."""

_MOST_FETCHED_BYTES = 8 * _MIB
"""Most compressed bytes of one partition in an answer: some 18,000 events. aiokafka's default, 1 MiB, halves
throughput."""

_LEAST_FETCHED_BYTES = _MIB // 4
"""Least compressed bytes of one partition in an answer, however many partitions there are. A broker sends a larger
batch whole."""

_LARGE = 0.25
"""The part of the greatest number of events or bytes from which a batch is large: then folding takes longer than a
commit, and the next fold overlaps with the commit."""

_INTERVAL_S = 0.003
"""Least seconds between the beginnings of two rounds of small batches. Even a small transaction has a cost for the
broker and the worker. With a fast broker there would be more of them, and the shorter wait would make no visible
difference."""


class Pacing:
    """Knows which batches are under way, and decides when others may begin.

    A *large* batch of a partition begins at once, in a round of its own. While it commits, one more batch of the
    partition may be folded. *Small* batches begin together, in one round: not before the last such round is committed,
    nor within some milliseconds of its beginning. Records that come meanwhile make the next round larger. With several
    smaller rounds they would wait as long, and each round would cost a transaction.

    The event loop writes this, the consumer's thread reads it. The batches under way are a tuple that is replaced as a
    whole, so that the thread never sees half a change.

    Args:
        batch_events: the greatest number of events of one partition in one batch, even if there are few partitions.
        clock: the time in seconds.

    Attributes:
        batch_events: the greatest number of events of one partition in one batch, for the present number of partitions.
        batch_bytes: the greatest number of bytes of one partition in one batch, in memory, for the same.
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
        """Hold a partition's batches back, because it has other work to do first; or release them."""
        self._held = self._held | {partition} if is_held else self._held - {partition}

    def is_held(self, partition: int) -> bool:
        """Whether a partition's batches are held back, for any length of time."""
        return partition in self._held

    def is_small(self, batch: Batch) -> bool:
        """Whether a batch begins together with others."""
        return not self._is_large(len(batch.records), batch.size)

    def began(self, together: Round) -> None:
        """Note that a round was given to the agent."""
        if self.is_small(together.batches[0]):
            self._began_s = self._clock()
        self._under_way = (*self._under_way, *together.batches)

    def ended(self, together: Round) -> None:
        """Note that a round is committed. A round from before the last assignment is ignored."""
        self._under_way = tuple(
            batch for batch in self._under_way if not any(batch is each for each in together.batches)
        )

    def assigned(self, partitions: int) -> None:
        """Reset at an assignment: earlier batches are committed, or will be read again.

        Args:
            partitions: how many source partitions are assigned now.
        """
        self.batch_events = min(self._most, max(_EVENTS_AT_ONCE // max(partitions, 1), _LEAST_EVENTS))
        self.batch_bytes = min(_MOST_BATCH_BYTES, max(_BYTES_AT_ONCE // max(partitions, 1), _LEAST_BYTES))
        self._under_way = ()
        self._held = frozenset()
        self._began_s = -inf

    def room(self, tp: TP, gathered: int, everywhere: int) -> int:
        """How many bytes of a partition may be read now; 0 or less: nothing may be read.

        Args:
            tp: the partition.
            gathered: the bytes of the partition that were read, and are in no batch yet.
            everywhere: the same for all partitions.
        """
        under_way = self._under_way
        own = self.batch_bytes - gathered
        if not gathered and not any(batch.partition == tp.partition for batch in under_way):
            return own
        return min(own, _BYTES_IN_ALL - everywhere - sum(batch.size for batch in under_way))

    def pause_s(self, tp: TP, events: int, size: int = 0) -> float:
        """How long the next batch of a partition has to wait, in seconds; infinite: until a commit ends.

        Args:
            tp: the partition.
            events: how many events of it were read.
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
    """The greatest number of bytes of one partition in one fetch, as they are in the log.

    Args:
        partitions: how many are read.
    """
    return min(_MOST_FETCHED_BYTES, max(FETCHED_BYTES // max(partitions, 1), _LEAST_FETCHED_BYTES))
