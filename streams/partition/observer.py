"""Who is told about each event of a partition."""

from mypy_extensions import mypyc_attr

from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from models.quality import QualityIssue

__all__ = ["Observer"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Told about each event; the worker counts and logs, a replay does not care."""

    def folded(self, event: LifecycleEvent, position: Position, issues: tuple[QualityIssue, ...]) -> None:
        """An event was put into the state, a copy or not."""

    def undeclared(self, event: LifecycleEvent, position: Position) -> None:
        """The first event of a pair whose processor the catalogue does not have: its factors are merged."""

    def rejected(self, position: Position, error: BadEventError) -> None:
        """A record became a dead letter."""

    def republished(self, position: Position) -> None:
        """A record had a foreign key or partition and goes out again under its canonical one."""

    def erased(self, position: Position) -> None:
        """A record erased a whole application, which nothing names any more."""

    def adopted(self, position: Position, ruleset: str) -> None:
        """From a record on another ruleset holds."""

    def batch_ended(self) -> None:
        """All records of a batch were told."""
