"""When a partition's next batch begins: batches that grow with the load by themselves."""

from faust.types import TP

__all__ = ["Pacing"]

_LARGE = 0.25
"""Of the most events of a batch: from there folding takes longer than a commit, and the two overlap."""


class Pacing:
    """Which partitions have batches under way, and may begin another all the same.

    A batch is not begun before the last one of its partition is committed: what comes meanwhile makes the next one
    larger. Cut into batches at once it would wait as long, and cost a transaction for each. A *large* batch lets one
    more be folded while it commits.

    Written by the event loop, read by the consumer's thread: what it holds is replaced, never changed.

    Args:
        batch_events: most events of one partition in one batch.
    """

    def __init__(self, batch_events: int) -> None:
        self._large = batch_events * _LARGE
        self._under_way: dict[TP, tuple[tuple[int, int], ...]] = {}

    def began(self, tp: TP, offset: int, events: int) -> None:
        """A batch that ends with this offset was handed on."""
        self._under_way[tp] = (*self._under_way.get(tp, ()), (offset, events))

    def ended(self, tp: TP, offset: int) -> None:
        """That batch is committed."""
        self._under_way[tp] = tuple(batch for batch in self._under_way.get(tp, ()) if batch[0] != offset)

    def forget(self) -> None:
        """The partitions were assigned anew: what was under way is done, or will be read again."""
        self._under_way = {}

    def may_begin(self, tp: TP) -> bool:
        """Whether the next batch of a partition may be handed on."""
        match self._under_way.get(tp, ()):
            case ():
                return True
            case ((_, events),):
                return events >= self._large
        return False
