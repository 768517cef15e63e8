"""The interface through which a partition's fold reports each event."""

from collections.abc import Sequence

from mypy_extensions import mypyc_attr

from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from models.quality import QualityIssue

__all__ = ["FoldedEvent", "Observer"]

FoldedEvent = tuple[LifecycleEvent, Position, tuple[QualityIssue, ...], bool]
"""An event, its record's position, its quality issues, and whether it is a copy, which changes nothing because the
state has the event already."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Is called for each event, in order. The worker's observer counts and logs; this one does nothing."""

    def folded(self, events: Sequence[FoldedEvent]) -> None:
        """Events were folded, in this order. Copies of earlier events are among them; they changed nothing."""

    def undeclared(self, event: LifecycleEvent, position: Position) -> None:
        """The next event is the first one of a pair whose processor the catalogue does not have."""

    def changed(self, pending: Sequence[object]) -> None:
        """Changes are about to be encoded.

        Args:
            pending: the output since the last call: a change is a tuple of its row's key and the change; other output
                is of other types.
        """

    def rejected(self, position: Position, error: BadEventError) -> None:
        """A record became a dead letter."""

    def republished(self, position: Position) -> None:
        """A record had a foreign key or partition, and is published again under its canonical key and partition."""

    def erased(self, position: Position) -> None:
        """A record erased a whole application. Its id is not passed on."""

    def adopted(self, position: Position, ruleset: str) -> None:
        """The partition has gone over to another ruleset at this record."""

    def batch_ended(self) -> None:
        """All records of a batch were reported."""
