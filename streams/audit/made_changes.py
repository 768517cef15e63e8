"""Changes that a fold in this process has made, in the same form as changes that are read from Kafka.

They are made from the fold's values, so that no record has to be decoded again.
"""

from collections.abc import Iterator, Mapping

import msgspec

from consolidator.records import (
    SCHEMA_VERSION,
    ChangeCause,
    Executions,
    FactorChange,
    FactorDifference,
    FailedExecution,
    QualityNote,
    Ruleset,
    RulesetDigests,
    SourcePlace,
)
from models.events import rfc3339
from streams.core.change import MAX_LISTED, RULESET, Cause, Change, RulesetCause
from streams.core.rules import Rules
from streams.core.tally import Tally
from streams.partition.outbox import MadeChange

__all__ = ["differences_of", "executions_of", "factor_change", "published_form"]


def published_form(made: MadeChange) -> FactorChange:
    """A change of a fold's result."""
    return factor_change(made.change, made.id, made.rules)


def factor_change(change: Change, identity: str, rules: Rules) -> FactorChange:
    """A change as the value of its record.

    Args:
        change: the change.
        identity: its id.
        rules: the ruleset that it was made with.
    """
    after, cause = change.after, change.cause
    before = {} if change.before is None else change.before.factors
    return FactorChange(
        schema_version=SCHEMA_VERSION,
        application_id=change.application_id,
        processor=change.processor,
        processor_type=change.processor_type,
        outcome=after.outcome.value,
        factors={name: msgspec.Raw(text.encode()) for name, text in after.factors.items()},
        executions=executions_of(after),
        ruleset=Ruleset(rules.name, rules.digest),
        version=SourcePlace(cause.position.partition, cause.position.offset),
        occurred_at=rfc3339(cause.occurred_at),
        id=identity,
        previous_outcome=change.previous_outcome.value,
        changed=tuple(differences_of(before, after.factors)),
        cause=_cause(cause),
        quality=tuple(QualityNote(issue.value, factor) for issue, factor in change.issues),
    )


def executions_of(tally: Tally) -> Executions:
    """Counts, contributors and failures of a pair; the latest 50 of each are listed."""
    counts = tally.counts
    return Executions(
        counts.active,
        counts.completed,
        counts.failed,
        counts.contributing,
        tuple(execution_id for _, execution_id, _ in tally.contributions[-MAX_LISTED:]),
        tuple(
            FailedExecution(execution_id, attempt, code)
            for _, execution_id, attempt, code in tally.failures[-MAX_LISTED:]
        ),
        len(tally.contributions) > MAX_LISTED or len(tally.failures) > MAX_LISTED,
    )


def differences_of(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[FactorDifference]:
    """The factors that differ, sorted by name.

    Args:
        before: the factors before, as JSON text.
        after: the factors after.
    """
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            op = "set" if old is None else "cleared" if new is None else "updated"
            yield FactorDifference(name, op, _raw(old), _raw(new))


def _cause(cause: Cause | RulesetCause) -> ChangeCause:
    position = cause.position
    place = (position.topic, position.partition, position.offset)
    if isinstance(cause, RulesetCause):
        return ChangeCause(RULESET, *place, ruleset=RulesetDigests(cause.before, cause.after))
    return ChangeCause(cause.status, *place, cause.execution_id, cause.event_id, cause.attempt)


def _raw(text: str | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if text is None else msgspec.Raw(text.encode())
