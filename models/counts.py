"""The counts of active executions by result, and the outcome that follows from them."""

from typing import Final

from mypy_extensions import mypyc_attr

from models.outcomes import Outcome
from models.values import Value

__all__ = ["Counts", "outcome_of"]


@mypyc_attr(acyclic=True)
class Counts(Value):
    """How many executions are active, by what became of them.

    Attributes:
        active: completed and failed ones together: a failed execution is active.
        completed: active executions that succeeded.
        failed: active executions that failed; they contribute nothing.
        contributing: completed ones with at least one accepted, non-null factor.
    """

    __slots__ = ("active", "completed", "contributing", "failed")

    def __init__(
        self,
        active: int,
        completed: int,
        failed: int,
        contributing: int,
    ) -> None:
        self.active: Final = active
        self.completed: Final = completed
        self.failed: Final = failed
        self.contributing: Final = contributing


def outcome_of(counts: Counts, opened: int) -> Outcome:
    """The outcome from the counts of active and of open executions."""
    if not counts.active:
        return Outcome.IN_PROGRESS if opened else Outcome.WITHDRAWN
    if not counts.failed:
        return Outcome.CONSOLIDATED
    return Outcome.PARTIAL if counts.completed else Outcome.CLEARED
