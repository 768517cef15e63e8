"""A factor change for people, with its *why*: what changed, which event caused it, and where that event stands."""

from collections.abc import Iterator

import msgspec

from streams.cli.escaping import escaped
from streams.current_factors import Journalled
from streams.published import CurrentFactors, FactorChange, FactorDifference

__all__ = ["cause_text", "change_lines", "difference_text", "failure_texts"]

_ABSENT = "—"


def change_lines(journalled: Journalled) -> Iterator[str]:
    """A change in a few lines; foreign text is escaped."""
    change = journalled.value
    yield escaped(
        f"{change.application_id}  {change.processor}  {change.previous_outcome} → {change.outcome}  "
        f"({change.executions.completed} completed, {change.executions.failed} failed)"
    )
    for difference in change.changed:
        yield "  " + difference_text(difference)
    yield "  because " + cause_text(change)
    cause = change.cause
    yield escaped(f"  source:  {cause.topic} partition {cause.partition} offset {cause.offset}, event {cause.event_id}")
    yield escaped(
        f"  journal: {journalled.topic} partition {journalled.partition} offset {journalled.offset}, "
        f"ruleset {change.ruleset.name}"
    )
    for note in change.quality:
        yield escaped(f"  quality: {note.issue}" + (f" ({note.factor})" if note.factor else ""))


def difference_text(difference: FactorDifference) -> str:
    """One factor before and after; a dash where it is absent."""
    return escaped(f"{difference.factor}: {_value(difference.before)} → {_value(difference.after)}")


def cause_text(change: FactorChange) -> str:
    """The causing event in words; a failure with its code."""
    cause = change.cause
    attempt = "" if cause.attempt is None else f" at attempt {cause.attempt}"
    code = next((one.code for one in change.executions.failures if one.execution_id == cause.execution_id), None)
    told = f" with {code}" if code is not None and cause.status == "failed" else ""
    return escaped(f"execution {cause.execution_id} {cause.status}{attempt}{told}")


def failure_texts(current: CurrentFactors) -> Iterator[str]:
    """Each failed execution with its attempt and code; they are active and contribute nothing."""
    for failure in current.executions.failures:
        yield escaped(f"{failure.execution_id} (attempt {failure.attempt}: {failure.code or 'no code'})")


def _value(value: msgspec.Raw | msgspec.UnsetType) -> str:
    return _ABSENT if isinstance(value, msgspec.UnsetType) else bytes(value).decode()
