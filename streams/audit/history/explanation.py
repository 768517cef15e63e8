"""Explains a processor's factors: the rule, the values and the calculation of each.

Accepted values are in the pair's row. Rejected values are looked up in the events that the pair was folded from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from models.catalogue import FieldRule, ProcessorRule, ProcessorType, Reducer
from models.events import LifecycleEvent, Status, rfc3339
from models.numbers import scalar_text
from models.quality import Issue
from streams.audit.history.arithmetic import bounds_text, calculation, rule_text
from streams.audit.history.as_of import AsOf, ProcessorAsOf, Sources
from streams.core.acceptance import accept
from streams.core.change import MAX_LISTED
from streams.core.rules import PreparedRule, Rules
from streams.core.standing import Kind, Standing, evicts, is_evicted, standing_of
from streams.core.strategies import Contributions

__all__ = [
    "ExplainedFactor",
    "Explanation",
    "Input",
    "LeftOut",
    "RefusedRecord",
    "Rejection",
    "explain",
]


class RulesetName(msgspec.Struct, frozen=True):
    """The ruleset that was applied: name, version, and the digest of its content."""

    name: str
    version: str
    digest: str


class Input(msgspec.Struct, frozen=True):
    """A value that a factor was made of.

    Attributes:
        execution_id: the execution.
        occurred_at: when it ended, RFC 3339.
        value: JSON text.
    """

    execution_id: str
    occurred_at: str
    value: msgspec.Raw


class ExplainedFactor(msgspec.Struct, frozen=True):
    """One factor.

    Attributes:
        factor: its name.
        value: JSON text; null: it is absent.
        unit: its unit, where the ruleset names one.
        reducer: as in the ruleset; null: merged.
        field: the field that is read.
        scale: decimal places; null: not rounded.
        rule: all of that in words.
        values: how many values it was made of.
        inputs: the latest 50 of them, in execution order.
        calculation: the arithmetic; null: there was no value.
    """

    factor: str
    value: msgspec.Raw | None
    unit: str | None
    reducer: str | None
    field: str
    scale: int | None
    rule: str
    values: int
    inputs: tuple[Input, ...]
    calculation: str | None


class ContributingExecution(msgspec.Struct, frozen=True):
    """An execution with at least one accepted value: when it ended, and the position of its event."""

    execution_id: str
    occurred_at: str
    event_id: str | None
    offset: int | None
    values: dict[str, msgspec.Raw]


class FailedEnd(msgspec.Struct, frozen=True):
    """An active execution that failed: it contributes nothing."""

    execution_id: str
    attempt: int
    code: str | None
    occurred_at: str


class Rejection(msgspec.Struct, frozen=True):
    """A part of an active execution's output that does not count.

    Attributes:
        execution_id: the execution.
        occurred_at: when it ended, RFC 3339.
        field: the field; null: the output as a whole.
        issue: one of the quality issues, or ``not_read``: no factor reads the field.
        value: the given value, as JSON text; null: there was none.
        reason: in words.
    """

    execution_id: str
    occurred_at: str
    field: str | None
    issue: str
    value: msgspec.Raw | None
    reason: str


class LeftOut(msgspec.Struct, frozen=True):
    """An execution that neither contributes nor failed, with the reason."""

    execution_id: str
    occurred_at: str
    reason: str


class RefusedRecord(msgspec.Struct, frozen=True):
    """A record of the application that is a dead letter; it is listed for every processor."""

    partition: int
    offset: int
    reason: str


class Explanation(msgspec.Struct, frozen=True):
    """The explanation of one processor's factors. Each list has the latest 50 entries.

    Attributes:
        ruleset: what was applied.
        factors: every factor that there is, or that the ruleset declares, sorted by name.
        contributions: the executions that contribute.
        failures: the executions that failed.
        rejected: the parts of their outputs that do not count.
        left_out: executions that do not count.
        refused: the application's dead letters.
        truncated: a list is longer than 50.
    """

    ruleset: RulesetName
    factors: tuple[ExplainedFactor, ...]
    contributions: tuple[ContributingExecution, ...]
    failures: tuple[FailedEnd, ...]
    rejected: tuple[Rejection, ...]
    left_out: tuple[LeftOut, ...]
    refused: tuple[RefusedRecord, ...]
    truncated: bool


def explain(one: ProcessorAsOf, answer: AsOf, rules: Rules) -> Explanation:
    """Explain the factors of one processor.

    Args:
        one: the processor.
        answer: the answer that has the processor.
        rules: the ruleset of the processor's row.
    """
    pair, sources = one.pair, answer.sources
    prepared = rules.of(pair.row.processor)
    name, _, version = rules.name.partition("/")
    contributions = [
        _contribution(_standing(one, execution_id, prepared), sources, execution_id, occurred_at, factors)
        for occurred_at, execution_id, factors in pair.tally.contributions
    ]
    failures = [
        FailedEnd(execution_id, attempt, code, rfc3339(at)) for at, execution_id, attempt, code in pair.tally.failures
    ]
    rejected = sorted(_rejections(one, sources, prepared), key=_by_time)
    left_out = sorted(_left_out(one, prepared), key=_by_time)
    refused = [
        RefusedRecord(place.partition, place.offset, f"{error.defect}: {error}") for place, error in sources.refused
    ]
    lists: tuple[Sequence[object], ...] = (contributions, failures, rejected, left_out, refused)
    return Explanation(
        RulesetName(name, version, rules.digest),
        tuple(_factors(pair.tally.factors, pair.tally.contributions, prepared.declared)),
        _latest(contributions),
        _latest(failures),
        _latest(rejected),
        _latest(left_out),
        _latest(refused),
        any(len(found) > MAX_LISTED for found in lists),
    )


_Item = TypeVar("_Item")


def _latest(found: Sequence[_Item]) -> tuple[_Item, ...]:
    return tuple(found[-MAX_LISTED:])


def _by_time(item: Rejection | LeftOut) -> tuple[str, str]:
    return item.occurred_at, item.execution_id


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _factors(
    found: Mapping[str, str], contributions: Contributions, declared: ProcessorRule | None
) -> Iterator[ExplainedFactor]:
    names = found if declared is None else {*found, *declared.factors}
    kind = None if declared is None else declared.type
    used = contributions[-1:] if kind is ProcessorType.APPLICATION else contributions
    for name in sorted(names):
        rule = None if declared is None else declared.factors[name]
        field = name if rule is None else rule.field
        values = [(at, who, factors[field]) for at, who, factors in used if field in factors]
        value = found.get(name)
        reducer: Reducer | None = None if rule is None else rule.reducer
        yield ExplainedFactor(
            name,
            None if value is None else _raw(value),
            None if rule is None else rule.unit,
            None if reducer is None else reducer.value,
            field,
            None if rule is None else rule.scale,
            rule_text(rule, field, declared),
            len(values),
            tuple(Input(who, rfc3339(at), _raw(text)) for at, who, text in values[-MAX_LISTED:]),
            None if value is None else calculation(reducer, [(who, text) for _, who, text in values], value),
        )


def _contribution(
    standing: Standing, sources: Sources, execution_id: str, occurred_at: int, factors: Mapping[str, str]
) -> ContributingExecution:
    entry = standing.end
    source = None if entry is None else sources.of(entry)
    return ContributingExecution(
        execution_id,
        rfc3339(occurred_at),
        None if entry is None else entry.event_id,
        None if source is None else source[1].offset,
        {name: _raw(text) for name, text in sorted(factors.items())},
    )


def _standing(one: ProcessorAsOf, execution_id: str, prepared: PreparedRule) -> Standing:
    executions = one.pair.row.executions
    evicted = is_evicted(execution_id, executions, one.pair.claims, keep_previous=prepared.keep_previous)
    return standing_of(executions[execution_id], evicted=evicted)


def _rejections(one: ProcessorAsOf, sources: Sources, prepared: PreparedRule) -> Iterator[Rejection]:
    for execution_id in one.pair.row.executions:
        end = _standing(one, execution_id, prepared).end
        source = None if end is None else sources.of(end)
        if source is not None:
            yield from _rejections_of(source[0], prepared)


def _rejections_of(event: LifecycleEvent, prepared: PreparedRule) -> Iterator[Rejection]:
    at, fields = rfc3339(event.occurred_at), prepared.fields
    for issue, field in accept(event, fields).issues:
        value = None if field is None else event.factors.get(field)
        rule = None if fields is None or field is None else fields.get(field)
        shown = None if value is None else _raw(scalar_text(value))
        yield Rejection(event.execution_id, at, field, issue.value, shown, _reason(issue, event, rule))
    if event.supersedes == event.execution_id:
        issue = Issue.SUPERSEDES_ITSELF
        yield Rejection(event.execution_id, at, None, issue.value, None, _reason(issue, event, None))
    if fields is not None:
        for field in sorted(name for name, value in event.factors.items() if value is not None and name not in fields):
            shown = _raw(scalar_text(event.factors[field]))  # type: ignore[arg-type] # None was left out above
            yield Rejection(event.execution_id, at, field, NOT_READ, shown, "no factor of the ruleset reads this field")


NOT_READ: Final = "not_read"
"""The field is accepted, and makes its execution contribute, but no factor is made of it."""


def _reason(issue: Issue, event: LifecycleEvent, rule: FieldRule | None) -> str:
    match issue:
        case Issue.FACTOR_NULL:
            return "null counts as not given"
        case Issue.FACTOR_WRONG_TYPE:
            return f"it must be a {'value' if rule is None else rule.kind}"
        case Issue.FACTOR_OUT_OF_BOUNDS:
            return "it is out of bounds" if rule is None else f"it must be {bounds_text(rule)}"
        case Issue.REQUIRED_FACTOR_MISSING:
            return "the ruleset requires it, and it is missing"
        case Issue.SUPERSEDES_ITSELF:
            return "an execution cannot supersede itself: that is ignored"
        case _:
            return f"an event with status {event.status.text} has no output"


def _left_out(one: ProcessorAsOf, prepared: PreparedRule) -> Iterator[LeftOut]:
    executions = one.pair.row.executions
    for execution_id, entries in executions.items():
        if not entries:
            continue
        standing = _standing(one, execution_id, prepared)
        last = rfc3339(max(entry.occurred_at for entry in entries))
        if standing.kind is Kind.OPEN:
            yield LeftOut(execution_id, last, "it has not ended")
        elif standing.kind is Kind.OUT:
            yield LeftOut(execution_id, last, _out_reason(one, execution_id, prepared))
        elif standing.kind is Kind.COMPLETED and standing.end is not None and not standing.end.contributes:
            yield LeftOut(execution_id, rfc3339(standing.end.occurred_at), "it completed without an accepted value")


def _out_reason(one: ProcessorAsOf, execution_id: str, prepared: PreparedRule) -> str:
    executions = one.pair.row.executions
    claimants = [
        claimant
        for claimant in one.pair.claims.get(execution_id, ())
        if evicts(executions.get(claimant, ()), keep_previous=prepared.keep_previous)
    ]
    if claimants:
        return f"superseded by {', '.join(claimants)}"
    statuses = {entry.status for entry in executions[execution_id]}
    return "cancelled" if Status.CANCELLED in statuses else "superseded"
