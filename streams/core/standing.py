"""The standing of an execution, computed from the set of its events: a state machine without transitions.

    requested, started ──► OPEN ──► completed ──► COMPLETED ┐
                             │  └─► failed ─────► FAILED    ├─► OUT (superseded, cancelled, or evicted)
                             └────────────────────────────► ┘

There are no transitions to get wrong: a standing is computed from all events of the execution, so that neither their
order, nor duplicates, nor where a batch ends can matter. COMPLETED and FAILED are both *active*.
"""

from enum import Enum
from typing import Final

from mypy_extensions import mypyc_attr

from models.events import Status
from models.rows import Entry
from models.values import Value

__all__ = ["Claims", "Kind", "Standing", "evicts", "is_evicted", "standing_of"]

Executions = dict[str, tuple[Entry, ...]]
Claims = dict[str, tuple[str, ...]]
"""Which executions name an execution in ``supersedes``, by the one that is named (seen yet or not)."""


class Kind(Enum):
    """How an execution counts."""

    UNKNOWN = "unknown"
    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"
    OUT = "out"


@mypyc_attr(acyclic=True)
class Standing(Value):
    """How an execution counts, and the event that decided it where it is active."""

    __slots__ = ("end", "kind")

    def __init__(
        self,
        kind: Kind,
        end: Entry | None = None,
    ) -> None:
        self.kind: Final = kind
        self.end: Final = end


_UNKNOWN: Final = Standing(Kind.UNKNOWN)
_OPEN: Final = Standing(Kind.OPEN)
_OUT: Final = Standing(Kind.OUT)

# Module-level names, because until Python 3.12 access to a member of an enumeration takes as long as three calls.
_KIND_COMPLETED: Final = Kind.COMPLETED
_KIND_FAILED: Final = Kind.FAILED
_COMPLETED: Final = Status.COMPLETED
_FAILED: Final = Status.FAILED
_CLOSING: Final = (Status.SUPERSEDED, Status.CANCELLED)
_CANCELLING: Final = (Status.CANCELLED,)


def _end_of(entries: tuple[Entry, ...]) -> Entry | None:
    """The greatest completed or failed event: a later attempt that only started never undoes an end."""
    end = None
    for entry in entries:
        status = entry.status
        if (status is _COMPLETED or status is _FAILED) and (end is None or entry.order > end.order):
            end = entry
    return end


def _closed(entries: tuple[Entry, ...], end: Entry | None, closing: tuple[Status, ...]) -> bool:
    """Whether an event with one of the statuses closes the execution, for all attempts or for the deciding one."""
    decisive = -1
    for entry in entries:
        if entry.status in closing:
            if entry.attempt is None:
                return True
            if decisive < 0:
                decisive = max(other.attempt or 0 for other in entries) if end is None else end.attempt or 0
            if entry.attempt >= decisive:
                return True
    return False


def standing_of(entries: tuple[Entry, ...], *, evicted: bool) -> Standing:
    """The standing of an execution.

    Args:
        entries: every event of the execution.
        evicted: another execution replaced it, see :func:`is_evicted`.
    """
    if not entries:
        return _UNKNOWN
    end = _end_of(entries)
    if _closed(entries, end, _CLOSING):
        return _OUT
    if end is None:
        # Even if it was replaced, it is still running; only an execution that has ended can be active.
        return _OPEN
    if evicted:
        return _OUT
    return Standing(_KIND_COMPLETED if end.status is _COMPLETED else _KIND_FAILED, end)


def evicts(entries: tuple[Entry, ...], *, keep_previous: bool) -> bool:
    """Whether an execution evicts those that it supersedes: it does if it has ended and was not cancelled.

    It evicts them even if it was evicted or superseded itself: of A ← B ← C only C is left.

    Args:
        entries: every event of the execution.
        keep_previous: the policy under which a failed rerun replaces nothing.
    """
    end = _end_of(entries)
    if end is None or (keep_previous and end.status is not _COMPLETED):
        return False
    return not _closed(entries, end, _CANCELLING)


def is_evicted(execution_id: str, executions: Executions, claims: Claims, *, keep_previous: bool) -> bool:
    """Whether any other execution replaced this one."""
    return any(
        evicts(executions.get(claimant, ()), keep_previous=keep_previous) for claimant in claims.get(execution_id, ())
    )
