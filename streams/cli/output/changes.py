"""A factor change for people, with its *why*: what changed, which event caused it, and where that event stands."""

from collections.abc import Iterator

import msgspec

from consolidator.records import Executions, FactorChange, FactorDifference
from streams.audit.history.current import Journalled
from streams.runtime.escaping import escaped

__all__ = ["cause_text", "change_lines", "difference_text", "failure_texts", "folded_change_lines", "why_lines"]

_ABSENT = "—"


def change_lines(journalled: Journalled) -> Iterator[str]:
    """A change in a few lines; foreign text is escaped."""
    journal = f"{journalled.topic} partition {journalled.partition} offset {journalled.offset}, "
    yield from _lines(journalled.value, f"journal: {journal}")


def folded_change_lines(change: FactorChange) -> Iterator[str]:
    """A change that a replay has made, in a few lines."""
    yield from _lines(change, "")


def _lines(change: FactorChange, journal: str) -> Iterator[str]:
    yield escaped(
        f"{change.application_id}  {change.processor}  {change.previous_outcome} → {change.outcome}  "
        f"({change.executions.completed} completed, {change.executions.failed} failed)"
    )
    for difference in change.changed:
        yield "  " + difference_text(difference)
    yield "  because " + cause_text(change)
    cause = change.cause
    event = "" if cause.event_id is None else f", event {cause.event_id}"
    yield escaped(f"  source:  {cause.topic} partition {cause.partition} offset {cause.offset}{event}")
    yield escaped(f"  {journal}ruleset {change.ruleset.name}")
    for note in change.quality:
        yield escaped(f"  quality: {note.issue}" + (f" ({note.factor})" if note.factor else ""))


def difference_text(difference: FactorDifference) -> str:
    """One factor before and after; a dash where it is absent."""
    return escaped(f"{difference.factor}: {_value(difference.before)} → {_value(difference.after)}")


def cause_text(change: FactorChange) -> str:
    """The causing event in words; a failure with its code."""
    cause = change.cause
    if cause.ruleset is not None:
        return f"ruleset {change.ruleset.name} was adopted"
    attempt = "" if cause.attempt is None else f" at attempt {cause.attempt}"
    code = next((one.code for one in change.executions.failures if one.execution_id == cause.execution_id), None)
    told = f" with {code}" if code is not None and cause.status == "failed" else ""
    return escaped(f"execution {cause.execution_id} {cause.status}{attempt}{told}")


def failure_texts(executions: Executions) -> Iterator[str]:
    """Each failed execution with its attempt and code; they are active and contribute nothing."""
    for failure in executions.failures:
        yield escaped(f"{failure.execution_id} (attempt {failure.attempt}: {failure.code or 'no code'})")


def why_lines(processor: str, outcome: str, executions: Executions) -> Iterator[str]:
    """Who contributed and who failed; the latest 50 of each."""
    yield ""
    yield escaped(f"{processor}: why {outcome}")
    yield escaped(f"  contributing: {', '.join(executions.contributors) or 'none'}")
    yield f"  failed, active without factors: {', '.join(failure_texts(executions)) or 'none'}"
    if executions.truncated:
        yield "  (the latest 50 of each)"


def _value(value: msgspec.Raw | msgspec.UnsetType) -> str:
    return _ABSENT if isinstance(value, msgspec.UnsetType) else bytes(value).decode()
