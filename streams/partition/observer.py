"""The interface through which a partition's fold reports each event."""

from mypy_extensions import mypyc_attr

from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from models.quality import QualityIssue

__all__ = ["Observer"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Called for each event. The worker's observer counts and logs; this one, for a replay, does nothing."""

    def folded(self, event: LifecycleEvent, position: Position, issues: tuple[QualityIssue, ...]) -> None:
        """An event was folded."""

    def repeated(self, event: LifecycleEvent, position: Position) -> None:
        """A copy of an event came that the state has already: it changes nothing."""
        self.folded(event, position, ())

    def undeclared(self, event: LifecycleEvent, position: Position) -> None:
        """The first event of a pair whose processor the catalogue does not have: its factors are merged."""

    def rejected(self, position: Position, error: BadEventError) -> None:
        """A record became a dead letter."""

    def republished(self, position: Position) -> None:
        """A record had a foreign key or partition and goes out again under its canonical one."""

    def erased(self, position: Position) -> None:
        """A record erased a whole application. Its id is not passed on."""

    def adopted(self, position: Position, ruleset: str) -> None:
        """The partition has gone over to another ruleset at this record."""

    def batch_ended(self) -> None:
        """All records of a batch were reported."""
