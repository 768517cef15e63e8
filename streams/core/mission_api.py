"""The mission's API, and a test oracle for the incremental fold: it computes everything from all events each time.

The names are those of the Failed Execution Consolidation Strategy, sections 2 and 3. The code shares only the models
with the fold, so that ``tests/properties`` can compare the two; numbers are ``Fraction`` inside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from models.catalogue import Catalogue, FieldRule, ProcessorRule, ProcessorType, Reducer, RerunPolicy
from models.events import LifecycleEvent
from models.numbers import within_limits

__all__ = [
    "MERGE",
    "ExecutionRecord",
    "ExecutionRepository",
    "InMemoryExecutionRepository",
    "Merge",
    "consolidate",
]


class Merge(Enum):
    """The type of :data:`MERGE`."""

    MERGE = "merge"


MERGE: Final = Merge.MERGE
"""The rule of a processor that no catalogue knows: ``factors.update(...)`` in execution order, the later one wins."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENDS: Final = frozenset({"completed", "failed"})
_CLOSING: Final = frozenset({"superseded", "cancelled"})

_Id = Annotated[str, Field(min_length=1)]


class ExecutionRecord(BaseModel):
    """One execution of a processor: its state, or one event of it.

    Attributes:
        execution_id: the execution, unique within its application and processor.
        processor: the processor's name.
        status: what happened.
        attempt: 1, 2, …; None only on ``superseded`` and ``cancelled``: all attempts.
        output: of a completed execution: ``{"factors": {name: scalar}}``, empty, or None; otherwise ignored.
        occurred_at: with a time zone.
        application_id: the application; :class:`ExecutionRepository` needs it.
        sequence: the producer's counter within the execution.
        error_code: why it failed.
        supersedes: the execution that this one replaces.
        event_id: the identity of the event that this record comes from.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    execution_id: _Id
    processor: _Id
    status: Literal["requested", "started", "completed", "failed", "superseded", "cancelled"]
    attempt: Annotated[int, Field(ge=1)] | None = Field(default=None, validate_default=True)
    output: dict[str, Any] | None = None
    occurred_at: AwareDatetime
    application_id: _Id | None = None
    sequence: Annotated[int, Field(ge=0)] | None = None
    error_code: str | None = None
    supersedes: _Id | None = None
    event_id: _Id | None = None

    @classmethod
    def of(cls, event: LifecycleEvent) -> Self:
        """The record of one lifecycle event."""
        return cls(
            execution_id=event.execution_id,
            processor=event.processor,
            status=event.status.text,  # type: ignore[arg-type] # the enumeration's texts are the literals
            attempt=event.attempt,
            output={"factors": event.factors} if event.factors else None,
            occurred_at=_EPOCH + timedelta(microseconds=event.occurred_at),
            application_id=event.application_id,
            sequence=None if event.sequence < 0 else event.sequence,
            error_code=event.code,
            supersedes=event.supersedes,
            event_id=event.event_id,
        )

    @property
    def factors(self) -> Mapping[str, Any]:
        """The factors of a completed execution, nulls included; empty for every other execution."""
        found = self.output.get("factors") if self.output is not None and self.status == "completed" else None
        return {} if found is None else found

    @field_validator("attempt", mode="after")
    @classmethod
    def _first_attempt(cls, attempt: int | None, info: ValidationInfo) -> int | None:
        return 1 if attempt is None and info.data.get("status") not in _CLOSING else attempt

    @model_validator(mode="after")
    def _check_factors(self) -> Self:
        if not isinstance(self.factors, Mapping):
            raise ValueError("output.factors is no mapping")  # noqa: TRY004 - pydantic reports ValueError
        for name, value in self.factors.items():
            if isinstance(value, float):
                raise ValueError(f"factor {name!r} is a float, which may have lost digits: give an int or a Decimal")  # noqa: TRY004
            if value is not None and not isinstance(value, str | int | Decimal):
                raise ValueError(f"factor {name!r} is no scalar")
            if isinstance(value, int | Decimal) and not within_limits(value):
                raise ValueError(f"factor {name!r} has more than 38 digits or an exponent beyond ±38")
        return self


def consolidate(executions: list[ExecutionRecord], *, rule: ProcessorRule | Merge = MERGE) -> dict[str, Any]:
    """Consolidate the active executions of one processor (strategy, section 3).

    All of them are processed in execution order. A failed one is active and contributes no factors; it is not an error.

    Args:
        executions: successful and failed ones together, as :meth:`ExecutionRepository.get_active_executions` gives
            them; all of one processor.
        rule: the processor's declaration.

    Returns:
        The factors by name; numbers as ``int`` where they are whole, otherwise as ``Decimal``.

    Raises:
        ValueError: executions of several processors.
    """
    processors = sorted({execution.processor for execution in executions})
    if len(processors) > 1:
        raise ValueError(f"executions of several processors cannot be consolidated: {', '.join(processors)}")
    contributions = []
    for execution in sorted(executions, key=_execution_order):
        if execution.status == "failed":
            # A failed execution is active and adds nothing: no null, no zero and no error.
            continue
        factors = _accepted(execution.factors, rule)
        if factors:
            contributions.append(factors)
    if isinstance(rule, Merge):
        return _merged(contributions)
    if rule.type is ProcessorType.APPLICATION:
        contributions = contributions[-1:]
    consolidated = {}
    for name, factor in sorted(rule.factors.items()):
        values = [factors[factor.field] for factors in contributions if factor.field in factors]
        if values:
            consolidated[name] = _plain(_REDUCERS[factor.reducer](values), factor.scale)
    return consolidated


def _execution_order(execution: ExecutionRecord) -> tuple[datetime, str]:
    return execution.occurred_at, execution.execution_id


def _merged(contributions: Iterable[Mapping[str, "_Value"]]) -> dict[str, Any]:
    consolidated: dict[str, _Value] = {}
    for factors in contributions:
        consolidated.update(factors)
    return {name: _plain(value, None) for name, value in sorted(consolidated.items())}


_Value = str | bool | Fraction


def _accepted(factors: Mapping[str, Any], rule: ProcessorRule | Merge) -> dict[str, _Value]:
    """The values that count: nulls do not, and values of a declared field must be of its kind and within its bounds."""
    fields = {} if isinstance(rule, Merge) else rule.fields
    values = {name: _exact(value) for name, value in factors.items() if value is not None}
    return {name: value for name, value in values.items() if name not in fields or _fits(value, fields[name])}


def _fits(value: _Value, field: FieldRule) -> bool:
    if field.kind == "any":
        return True
    if field.kind == "boolean":
        return isinstance(value, bool)
    return (
        isinstance(value, Fraction)
        and (field.minimum is None or value >= Fraction(field.minimum))
        and (field.maximum is None or value <= Fraction(field.maximum))
    )


def _exact(value: str | bool | int | Decimal) -> _Value:  # noqa: FBT001 - a value, not a switch
    return value if isinstance(value, str | bool) else Fraction(value)


def _plain(value: _Value | int, scale: int | None) -> Any:
    """A result as a plain Python value, rounded once, half to even, if it has a scale."""
    if isinstance(value, str | bool):
        return value
    number = Fraction(value)
    if scale is not None:
        number = Fraction(round(number * 10**scale), 10**scale)
    if number.denominator == 1:
        return number.numerator
    places = 0
    while (number * 10**places).denominator != 1:
        places += 1
    digits = tuple(int(digit) for digit in str(abs((number * 10**places).numerator)))
    return Decimal((int(number < 0), digits, -places))


_REDUCERS: Final[Mapping[Reducer, Callable[[Sequence[Any]], _Value | int]]] = {
    Reducer.MEAN: lambda values: sum(values, Fraction()) / len(values),
    Reducer.SUM: lambda values: sum(values, Fraction()),
    Reducer.MIN: min,
    Reducer.MAX: max,
    Reducer.COUNT: len,
    Reducer.LATEST: lambda values: values[-1],
    Reducer.EARLIEST: lambda values: values[0],
    Reducer.COUNT_TRUE: lambda values: values.count(True),
    Reducer.ALL_TRUE: all,
    Reducer.ANY_TRUE: any,
    # In Python True equals 1, in JSON it does not.
    Reducer.DISTINCT_COUNT: lambda values: len({(type(value), value) for value in values}),
}


class _RankedEvent(NamedTuple):
    """An event of an execution, with the sort key of completed and failed events."""

    order: tuple[int, int, datetime, str, str]
    record: ExecutionRecord


class ExecutionRepository(Protocol):
    """Where executions are looked up (strategy, section 6): in memory here, or in a database.

    One suite of tests covers all implementations: ``tests/unit/sink/test_execution_repository.py``.
    """

    def get_active_executions(self, application_id: str, processor: str) -> list[ExecutionRecord]:
        """The active executions, completed AND failed, each by its last completed or failed event, in execution order.

        Closed (superseded, cancelled) and replaced ones are left out. Everything that :func:`consolidate` needs is in
        the result: no further query.
        """


class InMemoryExecutionRepository:
    """The executions of many applications, in memory: an :class:`ExecutionRepository`.

    Args:
        executions: lifecycle events or records, several of one execution allowed, in any order, copies too.
        catalogue: declares which processors keep the execution that a failed rerun supersedes; None: none does.

    Raises:
        ValueError: a record without an application.
    """

    def __init__(
        self, executions: Iterable[LifecycleEvent | ExecutionRecord], *, catalogue: Catalogue | None = None
    ) -> None:
        self._catalogue = catalogue
        self._pairs: dict[tuple[str, str], dict[str, list[_RankedEvent]]] = {}
        for execution in executions:
            ranked = _ranked(execution)
            record = ranked.record
            if record.application_id is None:
                raise ValueError(f"execution {record.execution_id!r} has no application_id")
            pair = self._pairs.setdefault((record.application_id, record.processor), {})
            pair.setdefault(record.execution_id, []).append(ranked)

    def get_active_executions(self, application_id: str, processor: str) -> list[ExecutionRecord]:
        """See :class:`ExecutionRepository`."""
        executions = self._pairs.get((application_id, processor), {})
        keep_previous = self._keeps_previous(processor)
        evicted = {
            target
            for execution_id, events in executions.items()
            for target in _targets(events, keep_previous=keep_previous) - {execution_id}
        }
        active = []
        for execution_id, events in executions.items():
            end = _end(events)
            if end is not None and execution_id not in evicted and not _closed(events, _CLOSING, end):
                active.append(end)
        return sorted(active, key=_execution_order)

    def _keeps_previous(self, processor: str) -> bool:
        rule = None if self._catalogue is None else self._catalogue.processors.get(processor)
        return rule is not None and rule.on_failed_rerun is RerunPolicy.KEEP_PREVIOUS


def _ranked(execution: LifecycleEvent | ExecutionRecord) -> _RankedEvent:
    if isinstance(execution, LifecycleEvent):
        record, content = ExecutionRecord.of(execution), execution.digest.hex()
    else:
        record, content = execution, repr(execution)
    sequence = -1 if record.sequence is None else record.sequence
    return _RankedEvent((record.attempt or 0, sequence, record.occurred_at, record.event_id or "", content), record)


def _end(events: Iterable[_RankedEvent]) -> ExecutionRecord | None:
    """The last completed or failed event. A later attempt that has only started does not undo it."""
    ends = [event for event in events if event.record.status in _ENDS]
    return max(ends, key=lambda event: event.order).record if ends else None


def _closed(events: Iterable[_RankedEvent], by: frozenset[str], end: ExecutionRecord) -> bool:
    """Whether an event with one of the statuses is about the attempt that ended."""
    closing = [event.record.attempt for event in events if event.record.status in by]
    return any(attempt is None or attempt >= (end.attempt or 0) for attempt in closing)


def _targets(events: Sequence[_RankedEvent], *, keep_previous: bool) -> set[str]:
    """The executions that this one evicts: none before it has ended, and none once it is cancelled."""
    end = _end(events)
    if end is None or _closed(events, frozenset({"cancelled"}), end):
        return set()
    if keep_previous and end.status != "completed":
        return set()
    return {event.record.supersedes for event in events if event.record.supersedes is not None}
