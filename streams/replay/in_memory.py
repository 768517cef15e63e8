"""The fold of a replay with every pair in memory.

It calls :func:`streams.core.fold.apply_event`, as the worker does. Other modules read the events:
:mod:`streams.replay.file_replay` reads files.
"""

from collections.abc import Iterator

from models.events import LifecycleEvent, Position
from streams.core.fold import Pair, Step, apply_event
from streams.core.pair_summary import PairSummary, summary_of
from streams.core.rules import Rules

__all__ = ["ReplayFold"]


class ReplayFold:
    """Every (application, processor) of a replay.

    Args:
        rules: the catalogue.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._pairs: dict[tuple[str, str], Pair] = {}

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def apply(self, event: LifecycleEvent, position: Position) -> Step:
        """Put one event into its pair.

        Args:
            event: the event.
            position: its position in the replayed log or file.

        Raises:
            BadEventError: ``execution_limit``: the pair is full; it stays as it was.
        """
        identity = (event.application_id, event.processor)
        step = apply_event(self._pairs.get(identity), event, position, self._rules)
        self._pairs[identity] = step.pair
        return step

    def pairs(self) -> Iterator[Pair]:
        """Every pair, sorted by application and processor."""
        for identity in sorted(self._pairs):
            yield self._pairs[identity]

    def summaries(self) -> Iterator[PairSummary]:
        """Every pair, in progress and withdrawn ones included, sorted by application and processor."""
        for pair in self.pairs():
            yield summary_of(pair, self._rules)
